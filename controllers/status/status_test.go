package status

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// A fact changes the facts of a settled fleet of two gateways with a managed Redis.
type fact func(*Observation)

func settled(facts ...fact) Observation {
	o := Observation{
		Cluster: &v1alpha1.WebSocketCluster{ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "team", Generation: 7}},
		Image:   "gateway:1",
		Gateways: &appsv1.Deployment{Status: appsv1.DeploymentStatus{
			Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: 2, AvailableReplicas: 2,
		}},
		Redis:    &appsv1.Deployment{Status: appsv1.DeploymentStatus{AvailableReplicas: 1}},
		Service:  &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}},
		Selector: "a=b",
		Now:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	o.Cluster.Spec.SetDefaults()
	serves(10)(&o)
	serves(20)(&o)
	for _, change := range facts {
		change(&o)
	}
	return o
}

func spec(change func(*v1alpha1.WebSocketClusterSpec)) fact {
	return func(o *Observation) {
		change(&o.Cluster.Spec)
		o.Cluster.Spec.SetDefaults()
	}
}

func replicas(n int32) fact {
	return spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Replicas = &n })
}

func noPods(o *Observation) { o.Pods, o.Fleet.Gateways = nil, nil }

func addPod(o *Observation, ready bool) *corev1.Pod {
	value := corev1.ConditionFalse
	if ready {
		value = corev1.ConditionTrue
	}
	name := fmt.Sprintf("pod-%d", len(o.Pods))
	o.Pods = append(o.Pods, corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name)},
		Status: corev1.PodStatus{
			Phase:      corev1.PodRunning,
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: value}},
		},
	})
	return &o.Pods[len(o.Pods)-1]
}

func reports(o *Observation, pod *corev1.Pod, report contract.GatewayReport) {
	if o.Fleet.Gateways == nil {
		o.Fleet.Gateways = map[types.UID]fleet.Gateway{}
	}
	if report.State == "" {
		report.State = contract.StateServing
	}
	if report.Broker.State == "" {
		report.Broker.State = contract.BrokerReady
	}
	report.MaxConnections = 10_000
	o.Fleet.Gateways[pod.UID] = fleet.Gateway{Pod: pod.Name, Report: report}
}

func serves(connections int) fact {
	return func(o *Observation) { reports(o, addPod(o, true), contract.GatewayReport{Connections: connections}) }
}

// leaving is a pod that is being deleted and still has clients.
func leaving(connections int) fact {
	return func(o *Observation) {
		pod := addPod(o, true)
		deleted, grace := metav1.NewTime(o.Now.Add(325*time.Second)), int64(325)
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &deleted, &grace
		reports(o, pod, contract.GatewayReport{
			State:       contract.StateDraining,
			Connections: connections,
			Drain:       &contract.DrainReport{Reason: "preStop", StartedAt: o.Now.Add(time.Nanosecond), Deadline: o.Now.Add(time.Minute)},
		})
	}
}

func cutOff(broker contract.BrokerReport) fact {
	return func(o *Observation) { reports(o, addPod(o, false), contract.GatewayReport{Broker: broker}) }
}

func problem(p Problem) fact {
	return func(o *Observation) { o.Problems = append(o.Problems, p) }
}

var external = spec(func(s *v1alpha1.WebSocketClusterSpec) {
	s.Redis = &v1alpha1.RedisSpec{External: &v1alpha1.ExternalRedis{Addresses: []string{"a:1"}}}
})

var autoscaled = spec(func(s *v1alpha1.WebSocketClusterSpec) {
	s.Autoscaling = &v1alpha1.AutoscalingSpec{MaxReplicas: 5}
})

func ingress(change func(*v1alpha1.IngressSpec), class IngressClass) fact {
	return func(o *Observation) {
		wanted := &v1alpha1.IngressSpec{Hosts: []string{"ws.example.com"}}
		change(wanted)
		spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Ingress = wanted })(o)
		o.Ingress, o.Class = &networkingv1.Ingress{}, class
	}
}

func loadBalancer(at ...corev1.LoadBalancerIngress) fact {
	return func(o *Observation) {
		o.Service.Spec.Type = corev1.ServiceTypeLoadBalancer
		o.Service.Status.LoadBalancer.Ingress = at
	}
}

func TestConditions(t *testing.T) {
	nginx := IngressClass{Found: true, Controller: "k8s.io/ingress-nginx", Profile: v1alpha1.IngressProfileNginx}
	other := IngressClass{Found: true, Controller: "example.com/c", Profile: v1alpha1.IngressProfileNone}
	missing := IngressClass{Profile: v1alpha1.IngressProfileNone}
	named := func(i *v1alpha1.IngressSpec) { i.ClassName = new("nginx") }
	foreign := Problem{Reason: v1alpha1.ReasonForeignObject, Message: "ConfigMap x", BlocksGateways: true}
	noSecret := Problem{Reason: v1alpha1.ReasonSecretNotFound, Message: "spec.redis...", AffectsRedis: true, BlocksGateways: true}

	for _, c := range []struct {
		name      string
		facts     []fact
		condition string
		status    metav1.ConditionStatus
		reason    string
		message   string
	}{
		{"two of two serve", nil, v1alpha1.ConditionAvailable, "True", v1alpha1.ReasonEnoughServing, "2 of 2 gateways serve"},
		{"one of two is too few when none may be missing", []fact{noPods, serves(1)}, v1alpha1.ConditionAvailable, "False", v1alpha1.ReasonTooFewServing, "1 of 2"},
		{
			"one of two is enough when one may be missing",
			[]fact{noPods, serves(1), spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxUnavailable = new(intstr.FromInt32(1)) })},
			v1alpha1.ConditionAvailable, "True", v1alpha1.ReasonEnoughServing, "1 of 2",
		},
		{"a percentage rounds down", []fact{
			noPods, serves(1), replicas(3),
			spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxUnavailable = new(intstr.FromString("60%")) }),
		}, v1alpha1.ConditionAvailable, "False", v1alpha1.ReasonTooFewServing, "1 of 3"},
		{"none serves even if all may be missing", []fact{
			noPods,
			spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxUnavailable = new(intstr.FromString("100%")) }),
		}, v1alpha1.ConditionAvailable, "False", v1alpha1.ReasonNoneServing, "0 of 2"},
		{"a draining gateway does not serve", []fact{noPods, serves(1), leaving(1)}, v1alpha1.ConditionAvailable, "False", v1alpha1.ReasonTooFewServing, "1 of 2"},
		{"zero wanted", []fact{replicas(0)}, v1alpha1.ConditionAvailable, "False", v1alpha1.ReasonScaledToZero, "spec.replicas"},

		{"settled", nil, v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonSettled, ""},
		{"paused", []fact{spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Paused = true })}, v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonPaused, "spec.paused"},
		{"paused", []fact{spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Paused = true })}, v1alpha1.ConditionSpecAccepted, "True", v1alpha1.ReasonAccepted, "spec.paused"},
		{"blocked", []fact{problem(foreign)}, v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonForeignObject, "stay as they are: ConfigMap x"},
		{"a problem elsewhere does not block", []fact{problem(Problem{Reason: v1alpha1.ReasonForeignObject})}, v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonSettled, ""},
		{"not created", []fact{func(o *Observation) { o.Gateways = nil }}, v1alpha1.ConditionProgressing, "True", v1alpha1.ReasonRollingOut, "created"},
		{"not observed", []fact{func(o *Observation) { o.Gateways.Generation = 2 }}, v1alpha1.ConditionProgressing, "True", v1alpha1.ReasonRollingOut, ""},
		{"old pods left", []fact{func(o *Observation) { o.Gateways.Status.UpdatedReplicas = 1 }}, v1alpha1.ConditionProgressing, "True", v1alpha1.ReasonRollingOut, "1 of 2"},
		{"more wanted", []fact{replicas(3)}, v1alpha1.ConditionProgressing, "True", v1alpha1.ReasonScaling, ""},
		{"not ready for long enough", []fact{func(o *Observation) { o.Gateways.Status.AvailableReplicas = 1 }}, v1alpha1.ConditionProgressing, "True", v1alpha1.ReasonScaling, ""},
		{"stuck", []fact{func(o *Observation) {
			o.Gateways.Status.UpdatedReplicas = 1
			o.Gateways.Status.Conditions = []appsv1.DeploymentCondition{{
				Type: appsv1.DeploymentProgressing, Status: corev1.ConditionFalse, Reason: "ProgressDeadlineExceeded",
			}}
		}}, v1alpha1.ConditionProgressing, "False", v1alpha1.ReasonDeadlineExceeded, "do not become ready"},

		{"none drains", nil, v1alpha1.ConditionDraining, "False", v1alpha1.ReasonNoneDraining, ""},
		{"one drains", []fact{leaving(5)}, v1alpha1.ConditionDraining, "True", v1alpha1.ReasonHandingOver, "1"},
		{"a finished pod no longer drains", []fact{leaving(5), func(o *Observation) { o.Pods[2].Status.Phase = corev1.PodSucceeded }}, v1alpha1.ConditionDraining, "False", v1alpha1.ReasonNoneDraining, ""},

		{"connected", nil, v1alpha1.ConditionBackplaneReady, "True", v1alpha1.ReasonConnected, "not highly available"},
		{"external connected", []fact{external}, v1alpha1.ConditionBackplaneReady, "True", v1alpha1.ReasonConnected, "every gateway reaches Redis"},
		{"managed Redis missing", []fact{func(o *Observation) { o.Redis = nil }}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonRedisStarting, ""},
		{"managed Redis not ready", []fact{func(o *Observation) { o.Redis.Status.AvailableReplicas = 0 }}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonRedisStarting, ""},
		{"no Redis wanted", []fact{spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Redis = &v1alpha1.RedisSpec{} })}, v1alpha1.ConditionBackplaneReady, "True", v1alpha1.ReasonInMemory, ""},
		{"one cut off", []fact{external, cutOff(contract.BrokerReport{State: contract.BrokerConnecting})}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonUnreachable, "1 of 3 gateways do not reach Redis: check spec.redis.external.addresses"},
		{"lost it", []fact{external, cutOff(contract.BrokerReport{State: contract.BrokerDegraded})}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonUnreachable, "1 of 3"},
		{"refused without credentials", []fact{external, cutOff(contract.BrokerReport{State: contract.BrokerConnecting, Reason: contract.BrokerCredentialsRefused})}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonCredentialsRefused, "name a Secret"},
		{"refused with credentials", []fact{external, spec(func(s *v1alpha1.WebSocketClusterSpec) {
			s.Redis.External.CredentialsSecretRef = &v1alpha1.LocalReference{Name: "x"}
		}), cutOff(contract.BrokerReport{State: contract.BrokerConnecting, Reason: contract.BrokerCredentialsRefused})}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonCredentialsRefused, "spec.redis.external.credentialsSecretRef names"},
		{
			"refused, told by a gateway of an older version",
			[]fact{external, cutOff(contract.BrokerReport{State: contract.BrokerConnecting, Error: "NOAUTH Authentication required."})},
			v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonUnreachable, "1 of 3 gateways do not reach Redis",
		},
		{
			"an old reason of a broker that is ready",
			[]fact{external, cutOff(contract.BrokerReport{State: contract.BrokerReady, Reason: contract.BrokerCredentialsRefused})},
			v1alpha1.ConditionBackplaneReady, "True", v1alpha1.ReasonConnected, "",
		},
		{"first look for the managed Redis", []fact{cutOff(contract.BrokerReport{State: contract.BrokerConnecting})}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonRedisStarting, "1 of 3"},
		{"managed Redis lost", []fact{cutOff(contract.BrokerReport{State: contract.BrokerConnecting}), cutOff(contract.BrokerReport{State: contract.BrokerDegraded})}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonUnreachable, "2 of 4"},
		{"nobody told", []fact{noPods}, v1alpha1.ConditionBackplaneReady, "Unknown", v1alpha1.ReasonNoReports, ""},
		{"Secret missing", []fact{external, problem(noSecret)}, v1alpha1.ConditionBackplaneReady, "False", v1alpha1.ReasonSecretNotFound, "spec.redis..."},

		{"not autoscaled", nil, v1alpha1.ConditionMetricsAvailable, "True", v1alpha1.ReasonNotNeeded, ""},
		{"no metrics API", []fact{autoscaled}, v1alpha1.ConditionMetricsAvailable, "False", v1alpha1.ReasonNoMetricsAPI, "install"},
		{"metrics API", []fact{autoscaled, func(o *Observation) { o.MetricsServed = true }}, v1alpha1.ConditionMetricsAvailable, "True", v1alpha1.ReasonMetricsServed, ""},

		{"by Service", nil, v1alpha1.ConditionExposed, "True", v1alpha1.ReasonServiceReady, ""},
		{"no Service", []fact{func(o *Observation) { o.Service = nil }}, v1alpha1.ConditionExposed, "False", v1alpha1.ReasonServicePending, ""},
		{"load balancer pending", []fact{loadBalancer()}, v1alpha1.ConditionExposed, "False", v1alpha1.ReasonLoadBalancerPending, "spec.service.loadBalancerClass"},
		{"load balancer", []fact{loadBalancer(corev1.LoadBalancerIngress{IP: "192.0.2.1"})}, v1alpha1.ConditionExposed, "True", v1alpha1.ReasonServiceReady, ""},
		{"nginx", []fact{ingress(named, nginx)}, v1alpha1.ConditionExposed, "True", v1alpha1.ReasonProfileApplied, ""},
		{"unknown controller", []fact{ingress(named, other)}, v1alpha1.ConditionExposed, "True", v1alpha1.ReasonNoProfile, "example.com/c: set cookie affinity"},
		{"profile none", []fact{ingress(func(i *v1alpha1.IngressSpec) { i.Profile = v1alpha1.IngressProfileNone }, other)}, v1alpha1.ConditionExposed, "True", v1alpha1.ReasonNoProfile, "spec.ingress.profile is none"},
		{"class missing", []fact{ingress(named, missing)}, v1alpha1.ConditionExposed, "False", v1alpha1.ReasonIngressClassNotFound, "does not exist"},
		{"no default class", []fact{ingress(func(*v1alpha1.IngressSpec) {}, missing)}, v1alpha1.ConditionExposed, "False", v1alpha1.ReasonIngressClassNotFound, "no default IngressClass"},
		{"Ingress pending", []fact{ingress(named, nginx), func(o *Observation) { o.Ingress = nil }}, v1alpha1.ConditionExposed, "False", v1alpha1.ReasonIngressPending, ""},

		{"accepted", nil, v1alpha1.ConditionSpecAccepted, "True", v1alpha1.ReasonAccepted, ""},
		{"all problems told", []fact{problem(foreign), problem(noSecret)}, v1alpha1.ConditionSpecAccepted, "False", v1alpha1.ReasonForeignObject, "ConfigMap x; spec.redis..."},
	} {
		t.Run(c.condition+"/"+c.name, func(t *testing.T) {
			got := Compute(settled(c.facts...))
			decided := meta.FindStatusCondition(got.Conditions, c.condition)
			require.NotNil(t, decided)
			assert.Equal(t, c.status, decided.Status, decided.Message)
			assert.Equal(t, c.reason, decided.Reason)
			assert.Contains(t, decided.Message, c.message)
		})
	}
}

func TestEveryConditionIsAlwaysThereWithTheGeneration(t *testing.T) {
	for _, o := range []Observation{settled(), settled(noPods, func(o *Observation) { o.Gateways, o.Redis, o.Service = nil, nil, nil })} {
		status := Compute(o)
		types := make([]string, 0, len(status.Conditions))
		for _, one := range status.Conditions {
			types = append(types, one.Type)
			assert.Equal(t, int64(7), one.ObservedGeneration)
			assert.NotEmpty(t, one.Message)
			assert.False(t, one.LastTransitionTime.IsZero())
		}
		assert.Equal(t, v1alpha1.ConditionTypes(), types)
	}
}

func TestTransitionTimeStaysWhileTheStatusDoes(t *testing.T) {
	o := settled()
	o.Cluster.Status = Compute(o)
	o.Now = o.Now.Add(time.Hour)
	assert.Equal(t, o.Cluster.Status, Compute(o))
}

func TestCounts(t *testing.T) {
	notReported := func(o *Observation) { addPod(o, true) }
	for _, c := range []struct {
		name                                string
		facts                               []fact
		ready                               string
		replicas, readyReplicas, draining   int32
		connections, capacity, grace, drain int64
	}{
		{name: "settled", ready: "2/2", replicas: 2, readyReplicas: 2, connections: 30, capacity: 20_000, grace: 325},
		{name: "surge is not size", facts: []fact{serves(1)}, ready: "2/2", replicas: 2, readyReplicas: 3, connections: 31, capacity: 30_000, grace: 325},
		{name: "draining counts clients, not capacity", facts: []fact{leaving(5)}, ready: "2/2", replicas: 2, readyReplicas: 2, draining: 1, connections: 35, capacity: 20_000, grace: 325, drain: 1},
		{name: "a gateway before its first report has the spec's capacity", facts: []fact{noPods, notReported}, ready: "1/2", replicas: 1, readyReplicas: 1, capacity: 10_000, grace: 325},
		{name: "nothing there", facts: []fact{noPods}, ready: "0/2", grace: 325},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Compute(settled(c.facts...))
			assert.Equal(t, c.ready, got.Ready)
			assert.Equal(t, c.replicas, got.Replicas)
			assert.Equal(t, c.readyReplicas, got.ReadyReplicas)
			assert.Equal(t, c.draining, got.DrainingReplicas)
			assert.Equal(t, c.connections, got.Connections)
			assert.Equal(t, c.capacity, got.Capacity)
			assert.Equal(t, c.grace, got.Effective.TerminationGracePeriodSeconds)
			assert.Len(t, got.Drain, int(c.drain))
			assert.Equal(t, "a=b", got.Selector)
		})
	}
}

func TestDrainEntry(t *testing.T) {
	o := settled(leaving(5))
	entry := Compute(o).Drain[0]
	assert.Equal(t, "pod-2", entry.Pod)
	assert.Equal(t, int64(5), entry.Connections)
	assert.Equal(t, "preStop", entry.Reason)
	assert.True(t, entry.StartedAt.Time.Equal(o.Now), "whole seconds, or the status would differ from what is stored for ever")
	assert.True(t, entry.Deadline.Time.Equal(o.Now.Add(time.Minute)))

	o.Fleet.Gateways = nil
	entry = Compute(o).Drain[0]
	assert.Equal(t, "the pod is being deleted", entry.Reason)
	assert.True(t, entry.StartedAt.Time.Equal(o.Now))
}

func TestDrainListIsBoundedAndKeepsTheBusiest(t *testing.T) {
	facts := make([]fact, 0, 20)
	for i := range 20 {
		facts = append(facts, leaving(i))
	}
	list := Compute(settled(facts...)).Drain
	require.Len(t, list, v1alpha1.MaxDrainEntries)
	for _, entry := range list {
		assert.GreaterOrEqual(t, entry.Connections, int64(4))
	}
}

func TestUpdatedReplicasWaitForTheDeployment(t *testing.T) {
	assert.Equal(t, int32(2), Compute(settled()).UpdatedReplicas)
	assert.Zero(t, Compute(settled(func(o *Observation) { o.Gateways.Generation = 2 })).UpdatedReplicas)
	assert.Zero(t, Compute(settled(func(o *Observation) { o.Gateways = nil })).UpdatedReplicas)
}

func TestURLs(t *testing.T) {
	const inside = "ws://demo-gateway.team.svc/ws"
	gatewayTLS := spec(func(s *v1alpha1.WebSocketClusterSpec) {
		s.Gateway.TLS = &v1alpha1.GatewayTLS{SecretName: "certificate"}
	})
	with := func(change func(*v1alpha1.IngressSpec)) fact { return ingress(change, IngressClass{Found: true}) }
	for _, c := range []struct {
		name string
		fact fact
		want []string
	}{
		{"Service only", func(*Observation) {}, []string{inside}},
		{"no Service", func(o *Observation) { o.Service = nil }, nil},
		{"host", with(func(*v1alpha1.IngressSpec) {}), []string{"ws://ws.example.com/ws", inside}},
		{"host with a certificate", with(func(i *v1alpha1.IngressSpec) {
			i.TLS = []v1alpha1.IngressTLS{{Hosts: []string{"ws.example.com"}}}
		}), []string{"wss://ws.example.com/ws", inside}},
		{"host under a wildcard certificate", with(func(i *v1alpha1.IngressSpec) {
			i.TLS = []v1alpha1.IngressTLS{{Hosts: []string{"*.example.com"}}}
		}), []string{"wss://ws.example.com/ws", inside}},
		{"another host's certificate", with(func(i *v1alpha1.IngressSpec) {
			i.TLS = []v1alpha1.IngressTLS{{Hosts: []string{"*.ws.example.com", "other.example.com"}}}
		}), []string{"ws://ws.example.com/ws", inside}},
		{"path of Centrifuge clients", with(func(i *v1alpha1.IngressSpec) { i.Path = "/connection" }), []string{"ws://ws.example.com/connection/websocket", inside}},
		{"path of plain clients", with(func(i *v1alpha1.IngressSpec) { i.Path = "/ws" }), []string{"ws://ws.example.com/ws", inside}},
		{"path that is stripped", with(func(i *v1alpha1.IngressSpec) { i.Path = "/chat/" }), []string{"ws://ws.example.com/chat/ws", inside}},
		{"every host", func(o *Observation) {
			with(func(i *v1alpha1.IngressSpec) { i.Hosts = nil })(o)
			o.Ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "2001:db8::1"}}
		}, []string{"ws://[2001:db8::1]/ws", inside}},
		{"wildcard host", with(func(i *v1alpha1.IngressSpec) { i.Hosts = []string{"*.example.com", "ws.example.com"} }), []string{"ws://ws.example.com/ws", inside}},
		{"wildcard host only", func(o *Observation) {
			with(func(i *v1alpha1.IngressSpec) { i.Hosts = []string{"*.example.com"} })(o)
			o.Ingress.Status.LoadBalancer.Ingress = []networkingv1.IngressLoadBalancerIngress{{IP: "192.0.2.1"}}
		}, []string{inside}},
		{"load balancer", loadBalancer(corev1.LoadBalancerIngress{Hostname: "lb.example.com", IP: "192.0.2.1"}), []string{"ws://lb.example.com/ws", inside}},
		{"certificate of the gateways", gatewayTLS, []string{"wss://demo-gateway.team.svc/ws"}},
		{"load balancer to TLS", func(o *Observation) {
			gatewayTLS(o)
			loadBalancer(corev1.LoadBalancerIngress{Hostname: "lb.example.com"})(o)
		}, []string{"wss://lb.example.com/ws", "wss://demo-gateway.team.svc/ws"}},
		{"host without a certificate before TLS", func(o *Observation) {
			gatewayTLS(o)
			with(func(*v1alpha1.IngressSpec) {})(o)
		}, []string{"ws://ws.example.com/ws", "wss://demo-gateway.team.svc/ws"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, Compute(settled(c.fact)).URLs)
		})
	}
}

func TestEffectiveRedis(t *testing.T) {
	assert.Equal(t, "Managed", Compute(settled()).Effective.Redis)
	assert.Equal(t, "Standalone", Compute(settled(external)).Effective.Redis)
	assert.Equal(t, "None", Compute(settled(spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Redis = &v1alpha1.RedisSpec{} }))).Effective.Redis)
}
