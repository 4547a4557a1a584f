package status

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Observation is everything that a status is computed from.
type Observation struct {
	// Cluster has its defaults set, and its previous status.
	Cluster *v1alpha1.WebSocketCluster

	// Problems keep the operator from applying the spec. The first one is the one to solve first.
	Problems []Problem

	// Image is the image of the gateways.
	Image string

	// Gateways is the Deployment of the gateways. Like the objects below, it is nil if it does not exist or does not
	// belong to the operator.
	Gateways *appsv1.Deployment
	// Redis is the Deployment of the managed Redis.
	Redis *appsv1.Deployment
	// Service is the Service in front of the gateways.
	Service *corev1.Service
	// Ingress is the Ingress that routes to the Service.
	Ingress *networkingv1.Ingress
	// Route is the HTTPRoute that routes to the gateways.
	Route *unstructured.Unstructured

	// Installed are the kinds of other projects that the cluster has.
	Installed render.Installed
	// Listeners are those of Gateways that the HTTPRoute attaches to.
	Listeners []Listener

	// Pods are the gateway pods.
	Pods []corev1.Pod
	// RedisPods are the pods of the managed Redis.
	RedisPods []corev1.Pod
	// Fleet is what the gateways report.
	Fleet fleet.Snapshot

	// Class is the IngressClass of the Ingress.
	Class IngressClass

	// Autoscaler is the fleet's own HorizontalPodAutoscaler.
	Autoscaler *autoscalingv2.HorizontalPodAutoscaler
	// OtherAutoscalers scale the fleet and are not the operator's.
	OtherAutoscalers []autoscalingv2.HorizontalPodAutoscaler
	// Metrics is where the autoscaler reads connections: BuiltIn or Existing. It is empty without spec.autoscaling.
	Metrics v1alpha1.AutoscalingMetrics
	// MetricsOwner names the server that has the custom metrics API. It is empty when none has.
	MetricsOwner string
	// MetricsAPI is the Deployment of wsfleet's own metrics API, and MetricsAPIPods are its pods. They are empty unless
	// AutoscalerFails.
	MetricsAPI     *appsv1.Deployment
	MetricsAPIPods []corev1.Pod

	// Selector is the label selector of the gateway pods.
	Selector string

	// ScaleInWaits says why a gateway that has to go, because spec.replicas is lower, does not drain yet. It is empty when
	// none has to wait.
	ScaleInWaits string
	// RebalanceWaits says why gateways that have more than their share of the clients keep them for now. It is empty when
	// none has to wait.
	RebalanceWaits string
	// RolloutWaits says why no further gateway is replaced now. It is empty when one may be.
	RolloutWaits string
	// RolloutRefused reports that gateways of the new version turn their clients away.
	RolloutRefused bool
	// EvictionsWait reports that no gateway that is ready must be evicted now.
	EvictionsWait bool
	// RolloutLeft is how long the rollout takes from now on, about. It is 0 when that is not known.
	RolloutLeft time.Duration

	// DeletionDeadline is when the deletion of the fleet goes on although gateways are left. It is zero unless the fleet
	// is being deleted.
	DeletionDeadline time.Time

	// UpgradeWaits reports whether the gateways keep the version of an earlier release of the operator until
	// UpgradesBefore other fleets have been upgraded.
	UpgradeWaits   bool
	UpgradesBefore int
	// RedisKept reports whether the managed Redis keeps the version of an earlier release.
	RedisKept bool

	// Now is the time of conditions that change.
	Now time.Time
}

// Problem is a reason for which the operator cannot apply the spec.
type Problem struct {
	// Reason is a reason of api/v1alpha1.
	Reason string
	// Message names the field and the remedy, and never has a value of a Secret.
	Message string
	// AffectsRedis shows the problem in BackplaneReady too.
	AffectsRedis bool
	// BlocksGateways shows the problem in Progressing too: the operator does not change the gateways.
	BlocksGateways bool
}

// IngressClass describes the IngressClass that the Ingress has, or would have.
type IngressClass struct {
	// Profile is the ingress profile in use, never Auto. It is empty without an Ingress.
	Profile v1alpha1.IngressProfile
	// Found reports whether the IngressClass exists.
	Found bool
	// Controller is the name of the controller that implements the IngressClass.
	Controller string
	// Unread says that the operator does not read IngressClasses, so that Found and Controller say nothing.
	Unread bool
}

// gateway is a gateway pod and its report.
type gateway struct {
	pod *corev1.Pod
	// report is nil if the gateway has never reported.
	report *contract.GatewayReport
	// stale reports whether the gateway did not answer the last scrape.
	stale bool
	// lost reports whether the gateway should have ended, and its node does not confirm that it has.
	lost bool
	// reportedAt is when the report came. It is zero without one.
	reportedAt time.Time
}

// gateways returns every gateway pod with its report.
func (o Observation) gateways() []gateway {
	all := make([]gateway, 0, len(o.Pods))
	for i := range o.Pods {
		g := gateway{pod: &o.Pods[i], lost: isLost(&o.Pods[i], o.Now)}
		if scraped, ok := o.Fleet.Gateways[g.pod.UID]; ok {
			g.report, g.stale, g.reportedAt = &scraped.Report, scraped.Stale, scraped.ReportedAt
		}
		all = append(all, g)
	}
	return all
}

// draining reports whether the gateway's pod is being deleted, or its drain was requested.
func (g gateway) draining() bool {
	if g.finished() || g.lost {
		return false
	}
	return g.pod.DeletionTimestamp != nil || g.report != nil && g.report.State != contract.StateServing
}

// sheds reports whether the gateway sends a part of its clients to the others, and serves again after that.
func (g gateway) sheds() bool {
	return g.draining() && g.pod.DeletionTimestamp == nil && g.report.Sheds()
}

// endedShedding reports whether the gateway has sent a part of its clients away and serves again, so short a time ago
// that its pod need not be available yet.
func (g gateway) endedShedding(o Observation) bool {
	if g.report == nil || g.report.PartialDrain == nil || g.draining() || g.finished() || g.lost {
		return false
	}
	ago := o.Now.Sub(g.reportedAt).Seconds() + g.report.PartialDrain.SecondsAgo
	return ago < float64(*o.spec().Rollout.MinReadySeconds)+readyMarginSeconds
}

// readyMarginSeconds is how long it takes at most until Kubernetes has noticed that a gateway is ready again.
const readyMarginSeconds = 15

// scalesIn reports whether the gateway drains before its pod is deleted, because the fleet becomes smaller.
func (g gateway) scalesIn() bool {
	_, marked := g.pod.Annotations[render.AnnotationScaleIn]
	return marked && g.pod.DeletionTimestamp == nil && !g.finished()
}

// finished reports whether all containers of the pod have ended.
func (g gateway) finished() bool {
	return fleet.HasEnded(g.pod)
}

// ready reports whether the pod is ready and not being deleted.
func (g gateway) ready() bool {
	return g.pod.DeletionTimestamp == nil && fleet.IsReady(g.pod)
}

// serving reports whether the gateway accepts clients.
func (g gateway) serving() bool { return g.ready() && !g.draining() }

func (o Observation) spec() *v1alpha1.WebSocketClusterSpec { return &o.Cluster.Spec }

// desired returns the desired number of gateways.
func (o Observation) desired() int32 { return *o.spec().Replicas }

// serving returns the number of gateways that accept clients, surge included.
func (o Observation) serving() int32 { return o.count(gateway.serving) }

// staying returns the number of gateways that serve clients: those that accept any, and those that send a part away or
// did a moment ago.
func (o Observation) staying() int32 {
	return o.count(func(g gateway) bool { return g.serving() || g.sheds() || g.endedShedding(o) })
}

// rebalancing returns the number of gateways that send a part of their clients away or did a moment ago.
func (o Observation) rebalancing() int32 {
	return o.count(func(g gateway) bool { return g.sheds() || g.endedShedding(o) })
}

// count returns the number of gateways for which is returns true.
func (o Observation) count(is func(gateway) bool) int32 {
	var n int32
	for _, g := range o.gateways() {
		if is(g) {
			n++
		}
	}
	return n
}
