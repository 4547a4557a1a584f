package status

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Observation are all that a status is made from.
type Observation struct {
	// Cluster has its defaults filled in, and the status that it had before.
	Cluster *v1alpha1.WebSocketCluster

	// Problems keep the operator from acting on the spec; the first is the one to solve first.
	Problems []Problem

	// Image is the gateway image in use.
	Image string

	// The children, nil where they do not exist or are not the operator's.
	Gateways *appsv1.Deployment
	Redis    *appsv1.Deployment
	Service  *corev1.Service
	Ingress  *networkingv1.Ingress

	// Pods are the gateway pods, and Fleet what they report.
	Pods  []corev1.Pod
	Fleet fleet.Snapshot

	Class IngressClass

	// MetricsServed says whether something serves the custom metrics API.
	MetricsServed bool

	// Selector of gateway pods.
	Selector string

	Now time.Time
}

// Problem is something that keeps the operator from acting on the spec. Message names the field and
// the remedy, never a value out of a Secret.
type Problem struct {
	Reason  string
	Message string
	// AffectsRedis shows the problem in BackplaneReady too.
	AffectsRedis bool
	// BlocksGateways keeps the gateways as they are.
	BlocksGateways bool
}

// IngressClass is what the Ingress' class turned out to be.
type IngressClass struct {
	// Profile in use, never Auto; empty without an Ingress.
	Profile v1alpha1.IngressProfile
	// Found is whether the class exists; Controller is who implements it.
	Found      bool
	Controller string
}

// gateway is one pod and what it reports, if anything.
type gateway struct {
	pod    *corev1.Pod
	report *contract.GatewayReport
	silent bool
}

func (o Observation) gateways() []gateway {
	all := make([]gateway, 0, len(o.Pods))
	for i := range o.Pods {
		one := gateway{pod: &o.Pods[i]}
		if said, ok := o.Fleet.Gateways[one.pod.UID]; ok {
			one.report, one.silent = &said.Report, said.Stale
		}
		all = append(all, one)
	}
	return all
}

// draining is a gateway that is going away, or that somebody asked to drain.
func (g gateway) draining() bool {
	if g.finished() {
		return false
	}
	return g.pod.DeletionTimestamp != nil || g.report != nil && g.report.State != contract.StateServing
}

// finished is a pod that has ended and is only still listed.
func (g gateway) finished() bool {
	return g.pod.Status.Phase == corev1.PodSucceeded || g.pod.Status.Phase == corev1.PodFailed
}

func (g gateway) ready() bool {
	if g.pod.DeletionTimestamp != nil {
		return false
	}
	for _, condition := range g.pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (g gateway) serving() bool { return g.ready() && !g.draining() }

func (o Observation) spec() *v1alpha1.WebSocketClusterSpec { return &o.Cluster.Spec }

func (o Observation) wanted() int32 { return *o.spec().Replicas }

// serving is how many gateways serve, surge included.
func (o Observation) serving() int32 { return o.count(gateway.serving) }

func (o Observation) count(is func(gateway) bool) int32 {
	var n int32
	for _, one := range o.gateways() {
		if is(one) {
			n++
		}
	}
	return n
}
