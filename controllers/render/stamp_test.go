package render

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// stamps are the annotations by which a change of the user is told from one of the operator's release.
type stamps struct{ template, asked string }

// stampsOf returns the stamps of a Deployment after the change of the spec.
func stampsOf(t *testing.T, deployment string, change func(*v1alpha1.WebSocketClusterSpec)) stamps {
	t.Helper()
	spec := v1alpha1.WebSocketClusterSpec{Ingress: &v1alpha1.IngressSpec{}}
	change(&spec)
	objects, err := Objects(input(golden{Spec: spec}))
	require.NoError(t, err)
	for _, object := range objects {
		if object.Ref == DeploymentRef(deployment) {
			annotations := object.Desired.GetAnnotations()
			return stamps{annotations[AnnotationTemplate], annotations[AnnotationAsked]}
		}
	}
	require.Fail(t, "no Deployment")
	return stamps{}
}

// A change that reaches pods but not the hash of what the user asks for would count as one of the operator's release,
// and wait for the upgrades of other fleets. One that reaches no pod must not write the Deployment.
func TestStampsOfGatewaysTellWhoChangesThem(t *testing.T) {
	before := stampsOf(t, GatewayName("demo"), unchanged)
	for name, change := range map[string]func(*v1alpha1.WebSocketClusterSpec){
		"replicas":    func(s *v1alpha1.WebSocketClusterSpec) { s.Replicas = new(int32(7)) },
		"paused":      func(s *v1alpha1.WebSocketClusterSpec) { s.Paused = true },
		"autoscaling": func(s *v1alpha1.WebSocketClusterSpec) { s.Autoscaling = &v1alpha1.AutoscalingSpec{MaxReplicas: 9} },
		"metadata": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Metadata = v1alpha1.MetadataSpec{Labels: v1alpha1.Labels{"a": "b"}, Annotations: v1alpha1.Annotations{"a": "b"}}
		},
		"service": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Service = v1alpha1.ServiceSpec{
				Type:                     corev1.ServiceTypeLoadBalancer,
				ClientIPTimeoutSeconds:   new(int32(7)),
				ExternalTrafficPolicy:    corev1.ServiceExternalTrafficPolicyLocal,
				TrafficDistribution:      "PreferSameZone",
				IPFamilyPolicy:           corev1.IPFamilyPolicyPreferDualStack,
				IPFamilies:               []corev1.IPFamily{corev1.IPv6Protocol},
				NodePort:                 new(int32(30080)),
				LoadBalancerSourceRanges: []string{"10.0.0.0/8"},
				LoadBalancerClass:        new("a"),
				Annotations:              v1alpha1.Annotations{"a": "b"},
			}
		},
		"networkPolicy": func(s *v1alpha1.WebSocketClusterSpec) { s.NetworkPolicy.Enabled = new(false) },
		"monitoring": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Monitoring = v1alpha1.MonitoringSpec{
				PodMonitor: v1alpha1.MonitoringDisabled,
				Rules:      v1alpha1.MonitoringAuto,
				Dashboards: true,
			}
		},
		"ingress": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Ingress = &v1alpha1.IngressSpec{
				ClassName:   new("a"),
				Hosts:       []string{"a.example.com"},
				TLS:         []v1alpha1.IngressTLS{{SecretName: "a"}},
				IdleTimeout: &metav1.Duration{Duration: 2 * time.Hour},
				Annotations: v1alpha1.Annotations{"a": "b"},
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, before, stampsOf(t, GatewayName("demo"), change))
		})
	}
	for name, change := range reachesGateways() {
		t.Run(name, func(t *testing.T) {
			after := stampsOf(t, GatewayName("demo"), change)
			assert.NotEqual(t, before.template, after.template, "the change does not reach the pods")
			assert.NotEqual(t, before.asked, after.asked)
		})
	}
}

// reachesGateways returns changes of the spec that reach the gateways' pods, in fields of which others do not.
func reachesGateways() map[string]func(*v1alpha1.WebSocketClusterSpec) {
	changes := map[string]func(*v1alpha1.WebSocketClusterSpec){
		"no ingress":      func(s *v1alpha1.WebSocketClusterSpec) { s.Ingress = nil },
		"ingress.path":    func(s *v1alpha1.WebSocketClusterSpec) { s.Ingress.Path = "/chat" },
		"ingress.cookie":  func(s *v1alpha1.WebSocketClusterSpec) { s.Ingress.Cookie.Name = "chosen" },
		"ingress.profile": func(s *v1alpha1.WebSocketClusterSpec) { s.Ingress.Profile = v1alpha1.IngressProfileNone },
		"gatewayAPI": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Ingress = nil
			s.GatewayAPI = &v1alpha1.GatewayAPISpec{
				ParentRefs: []v1alpha1.GatewayReference{{Name: "a"}},
				Path:       "/chat",
			}
		},
		"gateway": func(s *v1alpha1.WebSocketClusterSpec) { s.Gateway.MaxConnections = new(int32(7)) },
		"drain":   func(s *v1alpha1.WebSocketClusterSpec) { s.Drain.Timeout = &metav1.Duration{Duration: time.Minute} },
		"redis":   func(s *v1alpha1.WebSocketClusterSpec) { s.Redis = &v1alpha1.RedisSpec{} },
		"image":   func(s *v1alpha1.WebSocketClusterSpec) { s.Image = "chosen" },
		"disruption": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Disruption.EvictionSafe = v1alpha1.EvictionSafeNever
		},
	}
	for _, profile := range ingressProfiles() {
		for _, key := range []string{profile.cookieNameAnnotation, profile.cookiePathAnnotation} {
			if key == "" {
				continue
			}
			changes[key] = func(s *v1alpha1.WebSocketClusterSpec) {
				annotations := v1alpha1.Annotations{key: "/chosen"}
				if profile.cookieOnService {
					s.Service.Annotations = annotations
				} else {
					s.Ingress.Annotations = annotations
				}
			}
		}
	}
	return changes
}

// A change of the user lets the managed Redis follow the operator's release, which loses its data. What does not reach
// its pod must not count as one.
func TestStampsOfRedisTellWhoChangesIt(t *testing.T) {
	before := stampsOf(t, RedisName("demo"), unchanged)
	for name, change := range map[string]func(*v1alpha1.WebSocketClusterSpec){
		"metadata": func(s *v1alpha1.WebSocketClusterSpec) {
			s.Metadata = v1alpha1.MetadataSpec{Labels: v1alpha1.Labels{"a": "b"}, Annotations: v1alpha1.Annotations{"a": "b"}}
		},
		"gateway": func(s *v1alpha1.WebSocketClusterSpec) { s.Gateway.MaxConnections = new(int32(7)) },
		"rollout": func(s *v1alpha1.WebSocketClusterSpec) { s.Rollout.MaxSurge = new(intstr.FromInt32(7)) },
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, before, stampsOf(t, RedisName("demo"), change))
		})
	}
	for name, managed := range map[string]v1alpha1.ManagedRedis{
		"storage":   {Storage: &v1alpha1.RedisStorage{}},
		"placement": {Placement: v1alpha1.PlacementSpec{PriorityClassName: "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			after := stampsOf(t, RedisName("demo"), func(s *v1alpha1.WebSocketClusterSpec) {
				s.Redis = &v1alpha1.RedisSpec{Managed: &managed}
			})
			assert.NotEqual(t, before.template, after.template)
			assert.NotEqual(t, before.asked, after.asked)
		})
	}
}
