package integration

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// scaleDeployment writes like a HorizontalPodAutoscaler of the user's own.
func scaleDeployment(t *testing.T, f *fleet, replicas int32) {
	t.Helper()
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: gatewayDeployment.name(f.name)},
	}
	scale := &autoscalingv1.Scale{ObjectMeta: deployment.ObjectMeta, Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	require.NoError(t, env.client.SubResource("scale").Update(t.Context(), deployment, client.WithSubResourceBody(scale),
		client.FieldOwner("kube-controller-manager")))
}

// A second autoscaler on the Deployment is named after three repairs, and no longer fought as fast as it writes. The
// spec still reaches the Deployment and the other objects.
func TestReconcilerBacksOffFromAnotherClient(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	replicasAre := func(want string) {
		f.eventually(func(t *assert.CollectT) {
			assert.Equal(t, want, read(t, gatewayDeployment.get(t, f), ".spec.replicas"))
		})
	}
	for range 3 {
		scaleDeployment(t, f, 4)
		replicasAre("2")
	}
	words := []string{"kube-controller-manager (subresource scale)", ".spec.replicas", "HorizontalPodAutoscaler"}
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonContested, words...)
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonContested, words...)
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonRepaired, words[0])

	scaleDeployment(t, f, 5)
	f.touch("during the pause")
	o.awaitQuiet()
	require.Equal(t, "5", read(t, gatewayDeployment.get(t, f), ".spec.replicas"), "it is left alone for a while")
	f.setSpec("{replicas: 3, service: {clientIPTimeoutSeconds: 7}}")
	replicasAre("3")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "7", read(t, gatewayService.get(t, f), ".spec.sessionAffinityConfig.clientIP.timeoutSeconds"))
	})

	scaleDeployment(t, f, 6)
	started := time.Now()
	replicasAre("3")
	require.Less(t, time.Since(started), 15*time.Second, "it is repaired when the pause is over")
}

// A value that another client writes into the operator's own Secret while a reconcile is about to write the Secret is
// not lost.
func TestReconcilerKeepsASecretThatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	o.awaitQuiet()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"stringData":{"token":"of-my-own"}}`))
	var edited sync.Once
	o.sent.before(func(request *http.Request) *http.Response {
		// The ServiceAccount comes before the Secret, whose values have been read by then.
		if request.Method == http.MethodPatch && strings.Contains(request.URL.Path, "/serviceaccounts/") {
			edited.Do(func() {
				assert.NoError(t, env.client.Patch(t.Context(), adminSecret.empty(f.namespace, f.name), patch))
			})
		}
		return nil
	})
	f.setSpec("metadata: {labels: {team: chat}}")
	f.eventually(func(t *assert.CollectT) {
		assert.Equal(t, "chat", adminSecret.get(t, f).GetLabels()["team"])
	})
	require.Equal(t, "of-my-own", adminToken(t, f))
}

// The fleet takes over a value that another client wrote into the operator's own Secret, and says which client it was.
func TestReconcilerNamesTheClientThatEditedASecret(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	patch := client.RawPatch(types.MergePatchType, []byte(`{"stringData":{"token":"of-my-own"}}`))
	require.NoError(t, env.client.Patch(t.Context(), adminSecret.get(t, f), patch, client.FieldOwner("kubectl-edit")))
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonRepaired, "Secret fleet-admin",
		"kubectl-edit changed .data.token")
	require.Equal(t, "of-my-own", adminToken(t, f))
}
