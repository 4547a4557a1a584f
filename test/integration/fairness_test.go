package integration

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A tenant that creates a hundred fleets at once does not keep another one waiting: the other's only fleet comes after
// those that are being reconciled, not after all that wait.
func TestOperatorServesTenantsInTurns(t *testing.T) {
	t.Parallel()
	const fleets, spec = 100, "{replicas: 0, redis: {}}"
	o := newOperator(t, env.operator)
	other := newNamespace(t)
	o.furtherNamespaces = []string{other}
	o.start()
	t.Cleanup(func() { o.stop() })
	// Each worker stops at its first write, so that the requests wait in the order in which they come.
	_, goOn := o.pauseAfter(0)
	for i := range fleets {
		createFleet(t, o.namespace, fmt.Sprintf("fleet-%d", i), spec)
	}
	o.awaitWaiting(fleets - workers)
	one := createFleet(t, other, "fleet", spec)
	o.awaitWaiting(fleets - workers + 1)
	goOn()

	one.eventuallyHas(gatewayDeployment)
	var created []string
	for _, w := range auditedSoFar(t, o.namespace, other) {
		if w.ObjectRef.Resource == "deployments" && w.Status.Code == http.StatusCreated {
			created = append(created, w.ObjectRef.Namespace)
		}
	}
	// The workers were at one fleet each. They go on with the next of each tenant.
	require.Less(t, slices.Index(created, other), 3*workers, "%q", created)
}

// awaitWaiting waits until a number of fleets wait to be reconciled.
func (o *operator) awaitWaiting(n int) {
	o.t.Helper()
	require.EventuallyWithT(o.t, func(t *assert.CollectT) {
		const queue = "websocketcluster"
		assert.InDelta(t, n, o.gathered(t, "workqueue_depth", queue, queue, ""), 0)
	}, waitTimeout, pollInterval)
}
