package status

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// change makes an observation differ from that of a settled fleet.
type change func(*Observation)

// settled returns the observation of a settled fleet of two gateways with a managed Redis, after the changes.
func settled(changes ...change) Observation {
	o := Observation{
		Cluster: &v1alpha1.WebSocketCluster{
			ObjectMeta: metav1.ObjectMeta{Name: "demo", Namespace: "team", Generation: 7},
		},
		Image: "gateway:1",
		Gateways: &appsv1.Deployment{Status: appsv1.DeploymentStatus{
			Replicas:          2,
			UpdatedReplicas:   2,
			ReadyReplicas:     2,
			AvailableReplicas: 2,
		}},
		Redis: &appsv1.Deployment{Status: appsv1.DeploymentStatus{AvailableReplicas: 1}},
		Service: &corev1.Service{Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{Port: 80, AppProtocol: new("kubernetes.io/ws")}},
		}},
		Selector: "a=b",
		Now:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	o.Cluster.Spec.SetDefaults()
	o.Cluster.Spec.Replicas = new(int32(v1alpha1.DefaultReplicas))
	servingPod(10)(&o)
	servingPod(20)(&o)
	for _, apply := range changes {
		apply(&o)
	}
	return o
}

// spec changes the spec and sets its defaults again.
func spec(edit func(*v1alpha1.WebSocketClusterSpec)) change {
	return func(o *Observation) {
		edit(&o.Cluster.Spec)
		o.Cluster.Spec.SetDefaults()
	}
}

func replicas(n int32) change {
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

func addReport(o *Observation, pod *corev1.Pod, report contract.GatewayReport) {
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

// servingPod adds a gateway that serves clients.
func servingPod(connections int) change {
	return func(o *Observation) { addReport(o, addPod(o, true), contract.GatewayReport{Connections: connections}) }
}

// drainingPod adds a pod that is being deleted and still has clients.
func drainingPod(connections int) change {
	return func(o *Observation) {
		pod := addPod(o, true)
		deleted, grace := metav1.NewTime(o.Now.Add(325*time.Second)), int64(325)
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &deleted, &grace
		addReport(o, pod, contract.GatewayReport{
			State:       contract.StateDraining,
			Connections: connections,
			Drain: &contract.DrainReport{
				Reason:    "preStop",
				StartedAt: o.Now.Add(time.Nanosecond),
				Deadline:  o.Now.Add(time.Minute),
			},
		})
	}
}

// podWithBroker adds a gateway that reports the state of its broker.
func podWithBroker(broker contract.BrokerReport) change {
	return func(o *Observation) { addReport(o, addPod(o, false), contract.GatewayReport{Broker: broker}) }
}

func problem(p Problem) change {
	return func(o *Observation) { o.Problems = append(o.Problems, p) }
}

var externalRedis = spec(func(s *v1alpha1.WebSocketClusterSpec) {
	s.Redis = &v1alpha1.RedisSpec{External: &v1alpha1.ExternalRedis{Addresses: []string{"a:1"}}}
})

var autoscaled = spec(func(s *v1alpha1.WebSocketClusterSpec) {
	s.Autoscaling = &v1alpha1.AutoscalingSpec{MaxReplicas: 5}
})

// ingress adds an Ingress for the host ws.example.com and its IngressClass.
func ingress(edit func(*v1alpha1.IngressSpec), class IngressClass) change {
	return func(o *Observation) {
		desired := &v1alpha1.IngressSpec{Hosts: []string{"ws.example.com"}}
		edit(desired)
		spec(func(s *v1alpha1.WebSocketClusterSpec) { s.Ingress = desired })(o)
		o.Ingress, o.Class = &networkingv1.Ingress{}, class
	}
}

func loadBalancer(addresses ...corev1.LoadBalancerIngress) change {
	return func(o *Observation) {
		o.Service.Spec.Type = corev1.ServiceTypeLoadBalancer
		o.Service.Status.LoadBalancer.Ingress = addresses
	}
}
