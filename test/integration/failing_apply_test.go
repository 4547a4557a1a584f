package integration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// webhookDown answers for the API server as it does while a webhook of service accounts is down.
func webhookDown(request *http.Request) *http.Response {
	if request.Method == http.MethodGet || !strings.Contains(request.URL.Path, "/serviceaccounts") {
		return nil
	}
	return webhookFails(request)
}

func webhookFails(request *http.Request) *http.Response {
	return answer(request, http.StatusInternalServerError, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500,"message":"Internal error occurred: failed calling webhook \"policy.example.com\""}`)
}

// What could not be written for a while is written when it can be.
func TestFailingApplyHeals(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	o.sent.before(webhookDown)
	f := createFleet(t, o.namespace, "fleet", "{}")
	before := o.sent.writes()
	require.Eventually(t, func() bool { return o.sent.writes() >= before+3 }, patience, pollEvery)
	f.eventuallyLacks(gatewayAccount)
	o.sent.before(nil)
	f.eventuallyHas(gatewayAccount, gatewayDeployment)
	f.eventuallySays(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// An object that cannot be written for now does not keep the others from being written, nor the
// user from reading why.
func TestFailingApplyIsTold(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	o.sent.before(webhookDown)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySays(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused, "ServiceAccount fleet-gateway", "failed calling webhook")
	// The ConfigMap waits with the gateways.
	f.eventuallyHas(gatewayService, gatewayBudget, adminSecret)
	f.eventually(func(t *assert.CollectT) {
		assert.Len(t, f.get(t).Status.Conditions, len(v1alpha1.ConditionTypes()))
	})
}

// Nor does one that cannot be deleted.
func TestFailingDeleteIsTold(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", everything)
	f.eventuallyHas(allChildren()...)
	o.sent.before(func(request *http.Request) *http.Response {
		if request.Method != http.MethodDelete || !strings.Contains(request.URL.Path, "/horizontalpodautoscalers") {
			return nil
		}
		return webhookFails(request)
	})
	f.setSpec("{replicas: 4}")
	f.eventuallySays(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused, "HorizontalPodAutoscaler fleet-gateway", "failed calling webhook")
	f.eventuallyLacks(gatewayIngress)
	f.eventuallySettled()
	f.eventuallyHas(gatewayAutoscaler)

	o.sent.before(nil)
	f.eventuallyLacks(gatewayAutoscaler)
	f.eventuallySays(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}
