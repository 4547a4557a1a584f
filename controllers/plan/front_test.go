package plan_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

var (
	plain  = render.Listener{Port: "ws"}
	secure = render.Listener{TLS: true, Port: "wss"}
	// earlier is the listener of an earlier release's gateways with TLS.
	earlier = render.Listener{TLS: true, Port: "ws"}
)

// podSpec returns the part of a gateway's pod that tells its listener.
func podSpec(listener render.Listener) corev1.PodSpec {
	spec := corev1.PodSpec{Containers: []corev1.Container{{
		Name: render.ComponentGateway,
		Ports: []corev1.ContainerPort{
			{Name: listener.Port, ContainerPort: contract.PublicPort},
			{Name: contract.AdminPortName, ContainerPort: contract.AdminPort},
		},
	}}}
	if listener.TLS {
		spec.Volumes = []corev1.Volume{{Name: "tls"}}
	}
	return spec
}

// pods returns ready gateways, gateways that start or drain, and gateways that have ended.
func pods(listener render.Listener, ready, other, over int) []corev1.Pod {
	var all []corev1.Pod
	for range ready {
		all = append(all, corev1.Pod{Spec: podSpec(listener), Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		}})
	}
	for i := range other {
		pod := corev1.Pod{Spec: podSpec(listener)}
		if i%2 == 0 {
			pod.DeletionTimestamp = &metav1.Time{}
			pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}
		all = append(all, pod)
	}
	for range over {
		all = append(all, corev1.Pod{Spec: podSpec(listener), Status: corev1.PodStatus{Phase: corev1.PodSucceeded}})
	}
	return all
}

// Each case follows a fleet of three through a change. A step is what exists, and the front then.
func TestFrontFollowsTheGateways(t *testing.T) {
	type step struct {
		template   render.Listener
		pods       []corev1.Pod
		listeners  []render.Listener
		ingressTLS bool
	}
	both := func(a, b []corev1.Pod) []corev1.Pod { return append(a, b...) }
	for title, steps := range map[string][]step{
		"TLS switched on": {
			{plain, pods(plain, 3, 0, 0), []render.Listener{plain}, false},
			{secure, pods(plain, 3, 0, 0), []render.Listener{plain, secure}, false},
			{secure, both(pods(plain, 3, 0, 0), pods(secure, 0, 1, 0)), []render.Listener{plain, secure}, false},
			{secure, both(pods(plain, 3, 0, 0), pods(secure, 1, 0, 0)), []render.Listener{plain, secure}, false},
			{secure, both(pods(plain, 2, 1, 0), pods(secure, 2, 0, 0)), []render.Listener{plain, secure}, true},
			{secure, both(pods(plain, 1, 2, 0), pods(secure, 3, 0, 0)), []render.Listener{plain, secure}, true},
			{secure, both(pods(plain, 0, 1, 2), pods(secure, 3, 0, 0)), []render.Listener{plain, secure}, true},
			{secure, both(pods(plain, 0, 0, 3), pods(secure, 3, 0, 0)), []render.Listener{secure}, true},
		},
		"TLS switched off, and on again before the end": {
			{secure, pods(secure, 3, 0, 0), []render.Listener{secure}, true},
			{plain, pods(secure, 3, 0, 0), []render.Listener{secure, plain}, true},
			{plain, both(pods(secure, 2, 1, 0), pods(plain, 1, 0, 0)), []render.Listener{secure, plain}, true},
			{secure, both(pods(secure, 2, 1, 0), pods(plain, 1, 0, 0)), []render.Listener{plain, secure}, true},
			{secure, both(pods(secure, 3, 0, 0), pods(plain, 0, 1, 0)), []render.Listener{plain, secure}, true},
			{secure, pods(secure, 3, 0, 0), []render.Listener{secure}, true},
		},
		"one gateway": {
			{secure, pods(plain, 1, 0, 0), []render.Listener{plain, secure}, false},
			{secure, both(pods(plain, 1, 0, 0), pods(secure, 1, 0, 0)), []render.Listener{plain, secure}, true},
			{secure, both(pods(plain, 0, 1, 0), pods(secure, 1, 0, 0)), []render.Listener{plain, secure}, true},
			{secure, pods(secure, 1, 0, 0), []render.Listener{secure}, true},
		},
		"gateways with TLS of an earlier release": {
			{earlier, pods(earlier, 3, 0, 0), []render.Listener{earlier}, true},
			{secure, pods(earlier, 3, 0, 0), []render.Listener{earlier}, true},
			{secure, both(pods(earlier, 2, 0, 0), pods(secure, 1, 0, 0)), []render.Listener{earlier}, true},
			{secure, both(pods(earlier, 1, 1, 0), pods(secure, 2, 0, 0)), []render.Listener{secure}, true},
		},
		"no gateway serves": {
			{secure, nil, []render.Listener{secure}, true},
			{plain, pods(secure, 0, 1, 0), []render.Listener{secure, plain}, false},
		},
	} {
		for i, s := range steps {
			deployment := &appsv1.Deployment{}
			deployment.Spec.Template.Spec = podSpec(s.template)
			// The spec plays no part: a missing Secret may hold the change back.
			got := plan.Front(v1alpha1.WebSocketClusterSpec{}, deployment, s.pods)
			assert.Equal(t, render.Front{Listeners: s.listeners, IngressTLS: s.ingressTLS}, got, "%s, step %d", title, i)
		}
	}
}

func TestFrontOfANewFleetFollowsTheSpec(t *testing.T) {
	var spec v1alpha1.WebSocketClusterSpec
	assert.Equal(t, render.Front{Listeners: []render.Listener{plain}}, plan.Front(spec, nil, nil))
	spec.Gateway.TLS = &v1alpha1.GatewayTLS{SecretName: "certificate"}
	assert.Equal(t, render.Front{Listeners: []render.Listener{secure}, IngressTLS: true}, plan.Front(spec, nil, nil))
}
