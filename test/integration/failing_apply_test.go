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

// failServiceAccounts answers as the API server does while a webhook of service accounts is down.
func failServiceAccounts(request *http.Request) *http.Response {
	if request.Method == http.MethodGet || !strings.Contains(request.URL.Path, "/serviceaccounts") {
		return nil
	}
	return failedWebhook(request)
}

func failedWebhook(request *http.Request) *http.Response {
	return answer(request, http.StatusInternalServerError,
		`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"InternalError","code":500,`+
			`"message":"Internal error occurred: failed calling webhook \"policy.example.com\""}`)
}

// An object that could not be written for a while is written when the API server takes it.
func TestReconcilerRetriesFailedApplies(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	o.sent.before(failServiceAccounts)
	f := createFleet(t, o.namespace, "fleet", "{}")
	before := o.sent.writes()
	require.Eventually(t, func() bool { return o.sent.writes() >= before+3 }, waitTimeout, pollInterval)
	f.eventuallyLacks(gatewayAccount)
	o.sent.before(nil)
	f.eventuallyHas(gatewayAccount, gatewayDeployment)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}

// When one object cannot be written for now, the others are written, and the status has the reason.
func TestStatusShowsFailedApplies(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	o.sent.before(failServiceAccounts)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused,
		"ServiceAccount fleet-gateway", "failed calling webhook")
	f.eventuallyHas(gatewayService, gatewayBudget, adminSecret)
	f.eventually(func(t *assert.CollectT) {
		assert.Len(t, f.get(t).Status.Conditions, len(v1alpha1.ConditionTypes()))
	})
}

// When one object cannot be deleted for now, the others are deleted, and the status has the reason.
func TestStatusShowsFailedDeletes(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", everything)
	f.eventuallyHas(allChildren()...)
	o.sent.before(func(request *http.Request) *http.Response {
		if request.Method != http.MethodDelete || !strings.Contains(request.URL.Path, "/horizontalpodautoscalers") {
			return nil
		}
		return failedWebhook(request)
	})
	f.setSpec("{replicas: 4}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonApplyRefused,
		"HorizontalPodAutoscaler fleet-gateway", "failed calling webhook")
	f.eventuallyLacks(gatewayIngress)
	f.eventuallySettled()
	f.eventuallyHas(gatewayAutoscaler)

	o.sent.before(nil)
	f.eventuallyLacks(gatewayAutoscaler)
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
}
