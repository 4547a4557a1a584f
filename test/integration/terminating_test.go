package integration

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// While a namespace is being deleted, the API server refuses each object and each event that the operator would create
// there. That is no error of the operator's: its log has no line of that level.
func TestOperatorProcessLogsNoErrorsOfATerminatingNamespace(t *testing.T) {
	t.Parallel()
	// No marker of the audit log can be created in the namespace that ends.
	namespace, elsewhere := newNamespace(t), newNamespace(t)
	admitToLease(t, namespace)
	process := startOperatorProcess(t, env.operator, namespace)
	f := createFleet(t, namespace, "fleet", "{}")
	f.eventuallyManaged()
	require.NoError(t, env.client.Delete(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}))
	require.Eventually(t, func() bool {
		object := gatewayBudget.empty(namespace, "probe")
		return apierrors.IsForbidden(env.client.Create(t.Context(), object))
	}, waitTimeout, pollInterval)

	// The namespace controller deletes all objects in it, the fleet last.
	for _, c := range []child{gatewayService, gatewayBudget, gatewayAccount, redisService} {
		require.NoError(t, env.client.Delete(t.Context(), c.get(t, f)))
	}
	f.setSpec("{replicas: 3, gateway: {maxConnections: 7}}")
	f.eventually(func(t *assert.CollectT) {
		refused := map[string]bool{}
		for _, w := range auditedSoFar(f.t, elsewhere, namespace) {
			if w.User.Username == operatorUser && w.Status.Code == http.StatusForbidden {
				refused[w.ObjectRef.Resource] = true
			}
		}
		assert.True(t, refused["services"] && refused["events"], "%v", refused)
	})
	require.NoError(t, env.client.Delete(t.Context(), f.get(t)))
	f.eventually(func(t *assert.CollectT) {
		f.collectGarbage()
		err := env.client.Get(f.t.Context(), f.key(), &v1alpha1.WebSocketCluster{})
		assert.True(t, apierrors.IsNotFound(err), "it is still there (%v)", err)
	})
	require.NotContains(t, process.log.String(), "level=ERROR")
}
