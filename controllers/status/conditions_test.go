package status

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	isTrue    = metav1.ConditionTrue
	isFalse   = metav1.ConditionFalse
	isUnknown = metav1.ConditionUnknown
)

// conditionCase is an observation and the condition that it results in.
type conditionCase struct {
	name    string
	changes []change
	status  metav1.ConditionStatus
	reason  string
	// message is a part of the condition's message.
	message string
}

func checkCondition(t *testing.T, kind string, cases []conditionCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := meta.FindStatusCondition(Compute(settled(c.changes...)).Conditions, kind)
			require.NotNil(t, got)
			assert.Equal(t, c.status, got.Status, got.Message)
			assert.Equal(t, c.reason, got.Reason)
			assert.Contains(t, got.Message, c.message)
		})
	}
}

var (
	foreignObject = Problem{
		Reason:         v1alpha1.ReasonForeignObject,
		Message:        "ConfigMap x",
		BlocksGateways: true,
	}
	secretNotFound = Problem{
		Reason:         v1alpha1.ReasonSecretNotFound,
		Message:        "spec.redis...",
		AffectsRedis:   true,
		BlocksGateways: true,
	}
	paused = spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Paused = true })
)

func evictionsWait(o *Observation) { o.EvictionsWait = true }

// A fleet of one gateway has no PodDisruptionBudget.
func TestDrainingHoldsNoEvictionOfOneGateway(t *testing.T) {
	computed := Compute(settled(drainingPod(5), evictionsWait, replicas(1)))
	got := meta.FindStatusCondition(computed.Conditions, v1alpha1.ConditionDraining)
	require.NotNil(t, got)
	assert.Equal(t, "gateways that drain: 1", got.Message)
}

// stuck is a fleet whose rollout has made no progress until its deadline.
func stuck(o *Observation) {
	o.Gateways.Status.UpdatedReplicas = 1
	o.Gateways.Status.Conditions = []appsv1.DeploymentCondition{{
		Type:   appsv1.DeploymentProgressing,
		Status: corev1.ConditionFalse,
		Reason: "ProgressDeadlineExceeded",
	}}
}

// upgradeWaits is a fleet that keeps the version of an earlier release of the operator until others are upgraded.
func upgradeWaits(o *Observation) { o.UpgradeWaits, o.UpgradesBefore = true, 3 }

func maxUnavailableOf(value intstr.IntOrString) change {
	return spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxUnavailable = &value })
}

func TestAvailable(t *testing.T) {
	checkCondition(t, v1alpha1.ConditionAvailable, []conditionCase{
		{"two of two serve", nil, isTrue, v1alpha1.ReasonEnoughServing, "2 of 2 gateways serve"},
		{"one of two is too few when none may be missing",
			[]change{noPods, servingPod(1)}, isFalse, v1alpha1.ReasonTooFewServing, "1 of 2"},
		{"one of two is enough when one may be missing",
			[]change{noPods, servingPod(1), maxUnavailableOf(intstr.FromInt32(1))},
			isTrue, v1alpha1.ReasonEnoughServing, "1 of 2"},
		{"a percentage is rounded down",
			[]change{noPods, servingPod(1), replicas(3), maxUnavailableOf(intstr.FromString("60%"))},
			isFalse, v1alpha1.ReasonTooFewServing, "1 of 3"},
		{"none serves even if all may be missing",
			[]change{noPods, maxUnavailableOf(intstr.FromString("100%"))},
			isFalse, v1alpha1.ReasonNoneServing, "0 of 2"},
		{"a draining gateway does not serve",
			[]change{noPods, servingPod(1), drainingPod(1)}, isFalse, v1alpha1.ReasonTooFewServing, "1 of 2"},
		{"one that sheds serves", []change{sheddingPod}, isTrue, v1alpha1.ReasonEnoughServing,
			"2 of 2 gateways serve, of which 1 take no further clients"},
		{"one that has shed serves", []change{shedPod(1)}, isTrue, v1alpha1.ReasonEnoughServing, "2 of 2"},
		{"one that has shed long ago and is not ready", []change{shedPod(60)}, isFalse, v1alpha1.ReasonTooFewServing,
			"1 of 2"},
		{"zero replicas", []change{replicas(0)}, isFalse, v1alpha1.ReasonScaledToZero, "spec.replicas"},
	})
}

func TestProgressing(t *testing.T) {
	blockedElsewhere := problem(Problem{Reason: v1alpha1.ReasonForeignObject})
	checkCondition(t, v1alpha1.ConditionProgressing, []conditionCase{
		{"settled", nil, isFalse, v1alpha1.ReasonSettled, ""},
		{"paused", []change{paused}, isFalse, v1alpha1.ReasonPaused, "spec.paused"},
		{"blocked", []change{problem(foreignObject)},
			isFalse, v1alpha1.ReasonForeignObject, "the gateways are not changed: ConfigMap x"},
		{"a problem elsewhere does not block", []change{blockedElsewhere}, isFalse, v1alpha1.ReasonSettled, ""},
		{"not created", []change{func(o *Observation) { o.Gateways = nil }},
			isTrue, v1alpha1.ReasonRollingOut, "created"},
		{"not observed", []change{func(o *Observation) { o.Gateways.Generation = 2 }},
			isTrue, v1alpha1.ReasonRollingOut, ""},
		{"old pods left", []change{func(o *Observation) { o.Gateways.Status.UpdatedReplicas = 1 }},
			isTrue, v1alpha1.ReasonRollingOut, "1 of 2"},
		{"old pods wait", []change{rolloutWaits, func(o *Observation) { o.Gateways.Status.UpdatedReplicas = 1 }},
			isTrue, v1alpha1.ReasonRollingOut, "1 of 2 gateways run the new version; the next one waits: others drain"},
		{"old pods left, for a while", []change{rolloutWaits, func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas, o.RolloutLeft = 1, 61*time.Second
		}}, isTrue, v1alpha1.ReasonRollingOut, "run the new version, about 2 min left; the next one waits: others drain"},
		{"clients are refused", []change{rolloutWaits, rolloutRefused, func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas = 1
		}}, isFalse, v1alpha1.ReasonClientsRefused, "others drain, and those of the old version do not"},
		{"clients were refused, and a pod is missing", []change{rolloutRefused, func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas = 1
		}}, isTrue, v1alpha1.ReasonRollingOut, ""},
		{"clients were refused before the spec changed back", []change{rolloutRefused}, isFalse, v1alpha1.ReasonSettled, ""},
		{"old pods wait, paused by the operator", []change{rolloutWaits, func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas, o.Gateways.Spec.Paused = 1, true
		}}, isTrue, v1alpha1.ReasonRollingOut, "others drain"},
		{"old pods go on in a moment", []change{func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas, o.Gateways.Spec.Paused = 1, true
			o.Gateways.Annotations = map[string]string{render.AnnotationRolloutHeld: "true"}
		}}, isTrue, v1alpha1.ReasonRollingOut, "1 of 2"},
		{"more replicas desired", []change{replicas(3)}, isTrue, v1alpha1.ReasonScaling, ""},
		{"not ready for long enough", []change{func(o *Observation) { o.Gateways.Status.AvailableReplicas = 1 }},
			isTrue, v1alpha1.ReasonScaling, ""},
		{"stuck", []change{stuck}, isFalse, v1alpha1.ReasonDeadlineExceeded, "do not become ready"},
		{"scales in", []change{scaleInPod(5)}, isTrue, v1alpha1.ReasonScalingIn,
			"gateways that drain before they are deleted: 1, with 5 clients left"},
		{"scales in, and more wait", []change{scaleInPod(5), scaleInPod(2), scaleInWaits}, isTrue, v1alpha1.ReasonScalingIn,
			"2, with 7 clients left; further ones wait: they must"},
		{"a scale-in waits", []change{scaleInWaits}, isTrue, v1alpha1.ReasonScaleInWaits,
			"spec.replicas is 2, and no gateway drains for it yet: they must"},
		{"a scale-in waits for a rollout that is stuck", []change{scaleInWaits, stuck}, isFalse,
			v1alpha1.ReasonDeadlineExceeded, ""},
		{"rebalances", []change{sheddingPod}, isTrue, v1alpha1.ReasonRebalancing, "which have fewer: 1"},
		{"rebalances, and a pod is missing", []change{sheddingPod, replicas(4)}, isTrue, v1alpha1.ReasonScaling, ""},
		{"has rebalanced, and is not ready yet", []change{shedPod(1)}, isTrue, v1alpha1.ReasonRebalancing, ""},
		{"has rebalanced long ago, and is not ready", []change{shedPod(60)}, isTrue, v1alpha1.ReasonScaling, ""},
		{"a rebalance waits", []change{rebalanceWaits}, isFalse, v1alpha1.ReasonRebalanceWaits, "for now: one drains"},
		{"a rebalance waits for a rollout", []change{rebalanceWaits, func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas = 1
		}}, isTrue, v1alpha1.ReasonRollingOut, "1 of 2"},
		{"waits for its upgrade", []change{upgradeWaits}, isTrue, v1alpha1.ReasonUpgradeQueued, "3 fleets before this one"},
		{"scales before its upgrade", []change{replicas(3), upgradeWaits}, isTrue, v1alpha1.ReasonScaling, "2 of 3"},
		{"refused before its upgrade", []change{refusedPod("denied"), upgradeWaits},
			isFalse, v1alpha1.ReasonPodsRefused, "denied"},
	})
}

// sheddingPod lets the first gateway send a part of its clients to the others.
func sheddingPod(o *Observation) {
	pod := &o.Pods[0]
	pod.Status.Conditions = nil
	o.Gateways.Status.AvailableReplicas--
	gateway := o.Fleet.Gateways[pod.UID]
	gateway.Report.State = contract.StateDraining
	gateway.Report.Drain = &contract.DrainReport{StartedAt: o.Now, Deadline: o.Now.Add(time.Minute), Keep: 5}
	o.Fleet.Gateways[pod.UID] = gateway
}

// shedPod is a fleet whose first gateway serves again since so many seconds, and is not ready yet.
func shedPod(secondsAgo float64) change {
	return func(o *Observation) {
		sheddingPod(o)
		pod := &o.Pods[0]
		gateway := o.Fleet.Gateways[pod.UID]
		gateway.ReportedAt = o.Now
		gateway.Report.State, gateway.Report.Drain = contract.StateServing, nil
		gateway.Report.PartialDrain = &contract.PartialDrainReport{SecondsAgo: secondsAgo, Reached: true}
		o.Fleet.Gateways[pod.UID] = gateway
	}
}

func rebalanceWaits(o *Observation) { o.RebalanceWaits = "one drains" }

// drainsAt adds a gateway that has a minute left for its clients, and closes so many per second.
func drainsAt(connections int, perSecond float64) change {
	return func(o *Observation) {
		drainingPod(connections)(o)
		pod := o.Pods[len(o.Pods)-1]
		gateway := o.Fleet.Gateways[pod.UID]
		gateway.ReportedAt = o.Now.Add(10 * time.Second)
		gateway.Report.Drain = &contract.DrainReport{
			StartedAt: o.Now, Deadline: gateway.ReportedAt.Add(time.Minute), ClosesPerSecond: perSecond,
		}
		o.Fleet.Gateways[pod.UID] = gateway
	}
}

func TestExpectedEndOfADrain(t *testing.T) {
	for _, c := range []struct {
		name        string
		connections int
		perSecond   float64
		change      change
		want        time.Duration
	}{
		{"30 at 3 a second, 10 s after the start", 30, 3, nil, 25 * time.Second},
		{"rounded up", 46, 3, nil, 35 * time.Second},
		{"no connection is left", 0, 3, nil, 15 * time.Second},
		{"at the deadline at the latest", 3000, 3, nil, 70 * time.Second},
		{"closes begin after the propagation delay", 30, 3, spec(func(s *v1alpha1.WebSocketClusterSpec) {
			s.Drain.PropagationDelay = &metav1.Duration{Duration: 40 * time.Second}
		}), 55 * time.Second},
		{"an older version says no pace", 30, 0, nil, 0},
		{"it waits for another one", 30, 3, func(o *Observation) {
			for _, g := range o.Fleet.Gateways {
				if g.Report.Drain != nil {
					g.Report.Drain.WaitsForAnother = true
				}
			}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			changes := []change{drainsAt(c.connections, c.perSecond)}
			if c.change != nil {
				changes = append(changes, c.change)
			}
			observed := settled(changes...)
			drains := Compute(observed).Drain
			require.Len(t, drains, 1)
			if c.want == 0 {
				require.Nil(t, drains[0].ExpectedEnd)
				return
			}
			require.NotNil(t, drains[0].ExpectedEnd)
			// The present time of these tests ends with five seconds.
			assert.InDelta(t, c.want.Seconds(), drains[0].ExpectedEnd.Sub(observed.Now).Seconds(), 0)
		})
	}
}

// scaleInPod adds a gateway that drains before it is deleted.
func scaleInPod(connections int) change {
	return func(o *Observation) {
		drainingPod(connections)(o)
		pod := &o.Pods[len(o.Pods)-1]
		pod.DeletionTimestamp = nil
		pod.Annotations = map[string]string{render.AnnotationScaleIn: "2030-01-02T03:04:05Z"}
	}
}

func rolloutRefused(o *Observation) { o.RolloutRefused = true }

func rolloutWaits(o *Observation) { o.RolloutWaits = "others drain" }

func scaleInWaits(o *Observation) { o.ScaleInWaits = "they must" }

func TestDraining(t *testing.T) {
	ended := func(o *Observation) { o.Pods[2].Status.Phase = corev1.PodSucceeded }
	checkCondition(t, v1alpha1.ConditionDraining, []conditionCase{
		{"none drains", nil, isFalse, v1alpha1.ReasonNoneDraining, ""},
		{"one drains", []change{drainingPod(5)}, isTrue, v1alpha1.ReasonHandingOver, "1"},
		{"evictions wait", []change{drainingPod(5), evictionsWait}, isTrue, v1alpha1.ReasonHandingOver,
			"gateways that drain: 1; evictions of others wait"},
		{"one drains fast enough", []change{drainsAt(590, 12)}, isTrue, v1alpha1.ReasonHandingOver, "1"},
		{"one drains at the pace of its deadline", []change{drainsAt(590, 10)}, isTrue, v1alpha1.ReasonHandingOver, "1"},
		{"one drains too slowly", []change{drainsAt(600, 5)}, isTrue, v1alpha1.ReasonDrainTooShort,
			"pod-2 will close some of its clients at once at its deadline: at its pace it needs spec.drain.timeout: 2m30s"},
		{"the slowest is named", []change{drainsAt(600, 5), drainsAt(600, 2)}, isTrue, v1alpha1.ReasonDrainTooShort,
			"gateways that drain: 2; pod-3 will close"},
		{"an older version says no pace", []change{drainsAt(600, 0)}, isTrue, v1alpha1.ReasonHandingOver, "1"},
		{"a finished pod does not drain", []change{drainingPod(5), ended}, isFalse, v1alpha1.ReasonNoneDraining, ""},
	})
}

func TestBackplane(t *testing.T) {
	connecting := podWithBroker(contract.BrokerReport{State: contract.BrokerConnecting})
	degraded := podWithBroker(contract.BrokerReport{State: contract.BrokerDegraded})
	checkCondition(t, v1alpha1.ConditionBackplaneReady, []conditionCase{
		{"connected", nil, isTrue, v1alpha1.ReasonConnected, "not highly available"},
		{"external connected", []change{externalRedis},
			isTrue, v1alpha1.ReasonConnected, "every gateway reaches Redis"},
		{"managed Redis missing", []change{func(o *Observation) { o.Redis = nil }},
			isFalse, v1alpha1.ReasonRedisStarting, ""},
		{"managed Redis not ready", []change{func(o *Observation) { o.Redis.Status.AvailableReplicas = 0 }},
			isFalse, v1alpha1.ReasonRedisStarting, ""},
		{"no Redis specified",
			[]change{spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Redis = &v1alpha1.RedisSpec{} })},
			isTrue, v1alpha1.ReasonInMemory, ""},
		{"one gateway has not connected", []change{externalRedis, connecting}, isFalse, v1alpha1.ReasonUnreachable,
			"1 of 3 gateways do not reach Redis: check spec.redis.external.addresses"},
		{"one gateway has lost it", []change{externalRedis, degraded}, isFalse, v1alpha1.ReasonUnreachable, "1 of 3"},
		{"gateways start with the managed Redis", []change{connecting},
			isFalse, v1alpha1.ReasonRedisStarting, "1 of 3"},
		{"managed Redis lost", []change{connecting, degraded}, isFalse, v1alpha1.ReasonUnreachable, "2 of 4"},
		{"no gateway has reported", []change{noPods}, isUnknown, v1alpha1.ReasonNoReports, ""},
		{"Secret missing", []change{externalRedis, problem(secretNotFound)},
			isFalse, v1alpha1.ReasonSecretNotFound, "spec.redis..."},
	})
}

func TestBackplaneWithRefusedCredentials(t *testing.T) {
	refused := podWithBroker(contract.BrokerReport{
		State:  contract.BrokerConnecting,
		Reason: contract.BrokerCredentialsRefused,
	})
	refusedInOlderVersion := podWithBroker(contract.BrokerReport{
		State: contract.BrokerConnecting,
		Error: "NOAUTH Authentication required.",
	})
	refusedBefore := podWithBroker(contract.BrokerReport{
		State:  contract.BrokerReady,
		Reason: contract.BrokerCredentialsRefused,
	})
	withCredentials := spec(func(s *v1alpha1.WebSocketClusterSpec) {
		s.Redis.External.CredentialsSecretRef = &v1alpha1.LocalReference{Name: "x"}
	})
	checkCondition(t, v1alpha1.ConditionBackplaneReady, []conditionCase{
		{"without credentials", []change{externalRedis, refused},
			isFalse, v1alpha1.ReasonCredentialsRefused, "name a Secret"},
		{"with credentials", []change{externalRedis, withCredentials, refused},
			isFalse, v1alpha1.ReasonCredentialsRefused, "spec.redis.external.credentialsSecretRef names"},
		{"reported by a gateway of an older version", []change{externalRedis, refusedInOlderVersion},
			isFalse, v1alpha1.ReasonUnreachable, "1 of 3 gateways do not reach Redis"},
		{"the old reason of a broker that is ready", []change{externalRedis, refusedBefore},
			isTrue, v1alpha1.ReasonConnected, ""},
	})
}

func TestExposed(t *testing.T) {
	nginx := IngressClass{Found: true, Controller: "k8s.io/ingress-nginx", Profile: v1alpha1.IngressProfileNginx}
	other := IngressClass{Found: true, Controller: "example.com/c", Profile: v1alpha1.IngressProfileNone}
	alb := IngressClass{Found: true, Controller: "ingress.k8s.aws/alb", Profile: v1alpha1.IngressProfileALB}
	contour := IngressClass{
		Found:      true,
		Controller: "projectcontour.io/ingress-controller",
		Profile:    v1alpha1.IngressProfileNone,
	}
	missing := IngressClass{Profile: v1alpha1.IngressProfileNone}
	unread := IngressClass{Profile: v1alpha1.IngressProfileNone, Unread: true}
	unreadNginx := IngressClass{Profile: v1alpha1.IngressProfileNginx, Unread: true}
	classed := func(o *Observation) { o.Ingress.Spec.IngressClassName = new("default") }
	byName := func(i *v1alpha1.IngressSpec) { i.ClassName = new("nginx") }
	byDefault := func(*v1alpha1.IngressSpec) {}
	longIdle := func(i *v1alpha1.IngressSpec) { i.IdleTimeout = &metav1.Duration{Duration: 2 * time.Hour} }
	withoutProfile := func(i *v1alpha1.IngressSpec) { i.Profile = v1alpha1.IngressProfileNone }
	address := corev1.LoadBalancerIngress{IP: "192.0.2.1"}
	checkCondition(t, v1alpha1.ConditionExposed, []conditionCase{
		{"by Service", nil, isTrue, v1alpha1.ReasonServiceReady, ""},
		{"no Service", []change{func(o *Observation) { o.Service = nil }}, isFalse, v1alpha1.ReasonServicePending, ""},
		{"load balancer pending", []change{loadBalancer()},
			isFalse, v1alpha1.ReasonLoadBalancerPending, "spec.service.loadBalancerClass"},
		{"load balancer", []change{loadBalancer(address)}, isTrue, v1alpha1.ReasonServiceReady, ""},
		{"nginx", []change{ingress(byName, nginx)}, isTrue, v1alpha1.ReasonProfileApplied, "the profile nginx"},
		{"unknown controller", []change{ingress(byName, other)},
			isTrue, v1alpha1.ReasonNoProfile, "example.com/c: set cookie affinity"},
		{"limited", []change{ingress(longIdle, alb)}, isTrue, v1alpha1.ReasonProfileLimited,
			"the profile alb keeps clients on their gateways by the cookie AWSALB; spec.ingress.idleTimeout counts as 4000 s"},
		{"Gateway API only", []change{ingress(byName, contour)}, isTrue, v1alpha1.ReasonNoProfile, "use spec.gatewayAPI"},
		{"profile none", []change{ingress(withoutProfile, other)},
			isTrue, v1alpha1.ReasonNoProfile, "spec.ingress.profile is none"},
		{"class missing", []change{ingress(byName, missing)},
			isFalse, v1alpha1.ReasonIngressClassNotFound, "does not exist"},
		{"no default class", []change{ingress(byDefault, missing)},
			isFalse, v1alpha1.ReasonIngressClassNotFound, "no default IngressClass"},
		{"classes unread", []change{ingress(byName, unread), classed}, isTrue, v1alpha1.ReasonNoProfile,
			"so spec.ingress.profile Auto is none: set it to the profile of your controller, or set cookie affinity"},
		{"classes unread, with a profile", []change{ingress(byName, unreadNginx), classed}, isTrue,
			v1alpha1.ReasonProfileApplied, "; a namespaced operator does not check that the IngressClass exists"},
		{"classes unread, with a default class", []change{ingress(byDefault, unreadNginx), classed}, isTrue,
			v1alpha1.ReasonProfileApplied, "the profile nginx"},
		{"classes unread, without a default class", []change{ingress(byDefault, unreadNginx)}, isFalse,
			v1alpha1.ReasonIngressClassNotFound, "no default IngressClass"},
		{"classes unread, Ingress pending",
			[]change{ingress(byDefault, unreadNginx), func(o *Observation) { o.Ingress = nil }},
			isFalse, v1alpha1.ReasonIngressPending, ""},
		{"Ingress pending", []change{ingress(byName, nginx), func(o *Observation) { o.Ingress = nil }},
			isFalse, v1alpha1.ReasonIngressPending, ""},
	})
}

func TestAccepted(t *testing.T) {
	checkCondition(t, v1alpha1.ConditionSpecAccepted, []conditionCase{
		{"accepted", nil, isTrue, v1alpha1.ReasonAccepted, ""},
		{"paused", []change{paused}, isTrue, v1alpha1.ReasonAccepted, "spec.paused"},
		{"the message has all problems", []change{problem(foreignObject), problem(secretNotFound)},
			isFalse, v1alpha1.ReasonForeignObject, "ConfigMap x; spec.redis..."},
	})
}
