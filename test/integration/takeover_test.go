package integration

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Between the operator's lookup and its write, another client can create or replace an object. It is not taken over.
func TestReconcilerTakesOverNoForeignObjects(t *testing.T) {
	t.Parallel()
	for _, title := range []string{"created meanwhile", "replaced meanwhile"} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			o := startOperator(t)
			f := &fleet{t: t, namespace: o.namespace, name: "fleet"}
			swap := sync.OnceFunc(func() {
				if title == "replaced meanwhile" {
					require.NoError(t, env.client.Delete(t.Context(), gatewayBudget.get(t, f)))
				}
				createForeign(t, gatewayBudget, o.namespace, "fleet")
			})
			before := func(request *http.Request) *http.Response {
				if (request.Method == http.MethodPatch || request.Method == http.MethodPost) &&
					strings.Contains(request.URL.Path, "/poddisruptionbudgets") {
					swap()
				}
				return nil
			}
			if title == "created meanwhile" {
				o.sent.before(before)
			}
			createFleet(t, o.namespace, "fleet", "{}")
			if title == "replaced meanwhile" {
				f.eventuallyHas(gatewayBudget)
				f.eventuallySettled()
				o.sent.before(before)
				f.setSpec("disruption: {maxUnavailable: 0}")
			}
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonForeignObject,
				"PodDisruptionBudget fleet-gateway")
			require.Equal(t, "theirs", read(t, gatewayBudget.get(t, f), ".spec.selector.matchLabels.app"))
			require.Empty(t, gatewayBudget.get(t, f).GetOwnerReferences())
		})
	}
}
