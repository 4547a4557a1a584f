package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// adminSecret returns the admin Secret of the demo fleet.
func adminSecret(owner string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: demo.Namespace,
			Name:      render.AdminSecretName(demo.Name),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.GroupVersion.String(),
				Kind:       v1alpha1.KindWebSocketCluster,
				Name:       owner,
				Controller: new(true),
			}},
		},
		Data: map[string][]byte{contract.AdminTokenKey: []byte("secret")},
	}
}

func TestGatewaySourceKeepsATokenForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		live := fake.NewClientBuilder().WithObjects(adminSecret(demo.Name)).
			WithInterceptorFuncs(interceptor.Funcs{
				Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object,
					options ...client.GetOption) error {
					reads++
					return c.Get(ctx, key, object, options...)
				},
			}).Build()
		source := newGatewaySource(nil, live)
		expect := func(want int, why string) {
			t.Helper()
			token, err := source.Token(t.Context(), demo)
			require.NoError(t, err)
			assert.Equal(t, "secret", token)
			assert.Equal(t, want, reads, why)
		}
		expect(1, "the first request")
		time.Sleep(tokenTTL - time.Second)
		expect(1, "soon after")
		time.Sleep(time.Second)
		expect(2, "later")
		source.forgetToken(demo)
		expect(3, "after gateways refused it")
	})
}

func TestGatewaySourceUsesNoForeignSecret(t *testing.T) {
	for _, objects := range [][]client.Object{nil, {adminSecret("another")}} {
		live := fake.NewClientBuilder().WithObjects(objects...).Build()
		_, err := newGatewaySource(nil, live).Token(t.Context(), demo)
		require.ErrorIs(t, err, fleet.ErrNoToken)
	}
}

// With a zone down, the gateways of dead nodes take up the whole time of a reading. Those that are ready must have been
// asked by then, or the fleet has no metric while it has to grow.
func TestGatewaySourceHasReadyGatewaysFirst(t *testing.T) {
	var objects []client.Object
	for name, isReady := range map[string]bool{"a": false, "b": true, "c": false, "d": true} {
		pod := podNamed(name, isReady)
		pod.Labels = render.SelectorLabels(demo.Name, render.ComponentGateway)
		objects = append(objects, pod)
	}
	pods, err := newGatewaySource(fake.NewClientBuilder().WithObjects(objects...).Build(), nil).Pods(t.Context(), demo)
	require.NoError(t, err)
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	assert.Equal(t, []string{"b", "d", "a", "c"}, names)
}

func TestSlimPodKeepsWhatTheMetricsNeed(t *testing.T) {
	pod := podNamed("a", true)
	pod.Labels = map[string]string{render.LabelCluster: demo.Name}
	want := pod.DeepCopy()
	pod.Annotations = map[string]string{"large": "value"}
	pod.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "kubelet"}}
	pod.Spec.Containers = []corev1.Container{{Name: "gateway"}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "gateway"}}
	pod.Status.PodIP, want.Status.PodIP = "10.0.0.1", "10.0.0.1"
	pod.Status.Conditions[0].Message = "text"
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: corev1.PodScheduled})
	slim, err := slimPod(pod)
	require.NoError(t, err)
	assert.Equal(t, want, slim)
}
