package plan

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Front returns how the Service and the Ingress reach the gateways. It follows the gateways that exist, and not the
// spec: while a rollout switches TLS on or off, the old URL works until the last gateway without the change drains, and
// the new URL as soon as a gateway serves it. deployment is the gateways' Deployment, or nil when there is none.
func Front(spec v1alpha1.WebSocketClusterSpec, deployment *appsv1.Deployment, pods []corev1.Pod) render.Front {
	newest := render.ListenerOfSpec(spec)
	if deployment != nil {
		newest = render.ListenerOfPod(deployment.Spec.Template.Spec)
	}
	serving := map[render.Listener]int{}
	exists := map[render.Listener]bool{newest: true}
	for i := range pods {
		if fleet.HasEnded(&pods[i]) {
			continue
		}
		listener := render.ListenerOfPod(pods[i].Spec)
		exists[listener] = true
		if serves(&pods[i]) {
			serving[listener]++
		}
	}
	front := render.Front{IngressTLS: newest.TLS}
	if going, some := listenerOf(!newest.TLS, newest, exists, serving); some {
		front.Listeners = append(front.Listeners, going)
	}
	current, _ := listenerOf(newest.TLS, newest, exists, serving)
	front.Listeners = append(front.Listeners, current)
	// The Ingress reaches only one kind. It goes where most of the gateways are, so that few of them never take all
	// clients.
	if count(serving, !newest.TLS) > count(serving, newest.TLS) {
		front.IngressTLS = !newest.TLS
	}
	return front
}

// listenerOf returns the listener of the gateways with or without TLS, and false when there are none. Gateways of
// different releases may name the port differently: the name that most serving gateways have is returned.
func listenerOf(
	tls bool, newest render.Listener, exists map[render.Listener]bool, serving map[render.Listener]int,
) (best render.Listener, found bool) {
	for _, name := range []string{newest.Port, contract.PublicPortName, contract.PublicTLSPortName} {
		listener := render.Listener{TLS: tls, Port: name}
		if exists[listener] && (!found || serving[listener] > serving[best]) {
			best, found = listener, true
		}
	}
	return best, found
}

// count returns the number of serving gateways with or without TLS.
func count(serving map[render.Listener]int, tls bool) int {
	sum := 0
	for listener, n := range serving {
		if listener.TLS == tls {
			sum += n
		}
	}
	return sum
}

// serves reports whether the pod is ready and not being deleted.
func serves(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && fleet.IsReady(pod)
}
