package v1alpha1

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DefaultTargetUtilizationPercent is the part of a gateway's connections at which the fleet grows,
// when the spec names no target.
const DefaultTargetUtilizationPercent = 75

// DefaultMinReplicas is the smallest autoscaled fleet when the spec does not say.
const DefaultMinReplicas = 2

// DefaultMaxTotalQueuedBytes is what may wait for all clients of a gateway, when the spec does not
// say and one client's queue is not larger.
const DefaultMaxTotalQueuedBytes = 256 << 20

// DefaultAPIKeyName is the key of the API key's Secret when the spec does not say.
const DefaultAPIKeyName = "api-key"

// SetDefaults fills in what the spec leaves out. The schema has the same defaults (a test holds the
// two together), except where a default written into the object would get in the way of the user's
// next change: redis, gateway.maxTotalQueuedBytes, autoscaling.minReplicas and the autoscaling target.
func (s *WebSocketClusterSpec) SetDefaults() {
	setDefault(&s.Replicas, 2)
	s.Gateway.setDefaults()
	if s.Redis == nil {
		s.Redis = &RedisSpec{Managed: &ManagedRedis{}}
	}
	if external := s.Redis.External; external != nil && external.Mode == "" {
		external.Mode = RedisStandalone
	}
	setDefault(&s.Drain.Timeout, metav1.Duration{Duration: 5 * time.Minute})
	setDefault(&s.Drain.PropagationDelay, metav1.Duration{Duration: 10 * time.Second})
	setDefault(&s.Drain.MaxClosesPerSecond, 0)
	setDefault(&s.Rollout.MaxSurge, intstr.FromInt32(1))
	setDefault(&s.Rollout.MaxUnavailable, intstr.FromInt32(0))
	setDefault(&s.Rollout.MinReadySeconds, 20)
	if s.Autoscaling != nil {
		s.Autoscaling.setDefaults()
	}
	if s.Service.Type == "" {
		s.Service.Type = corev1.ServiceTypeClusterIP
	}
	setDefault(&s.Service.ClientIPTimeoutSeconds, 3600)
	if s.Ingress != nil {
		s.Ingress.setDefaults()
	}
	setDefault(&s.Disruption.MaxUnavailable, intstr.FromInt32(1))
}

func (g *GatewaySpec) setDefaults() {
	setDefault(&g.MaxConnections, 10_000)
	setDefault(&g.MaxConnectionsPerIP, 0)
	setDefault(&g.ConnectRate, 500)
	setDefault(&g.MaxMessageBytes, 65_536)
	setDefault(&g.MessageRate, 100)
	setDefault(&g.MaxQueuedBytes, 1_048_576)
	setDefault(&g.MaxTotalQueuedBytes, max(DefaultMaxTotalQueuedBytes, int64(*g.MaxQueuedBytes)))
	setDefault(&g.MaxChannelsPerConnection, 128)
	setDefault(&g.HandshakeTimeout, metav1.Duration{Duration: 10 * time.Second})
	setDefault(&g.ConnectTimeout, metav1.Duration{Duration: 10 * time.Second})
	setDefault(&g.PingInterval, metav1.Duration{Duration: 25 * time.Second})
	setDefault(&g.PongTimeout, metav1.Duration{Duration: 8 * time.Second})
	setDefault(&g.Compression, false)
	for i := range g.Channels {
		if rule := &g.Channels[i]; rule.SlowConsumer == "" {
			rule.SlowConsumer = SlowConsumerDisconnect
		}
	}
	if ref := g.Auth.APIKeySecretRef; ref != nil && ref.Key == "" {
		ref.Key = DefaultAPIKeyName
	}
}

func (a *AutoscalingSpec) setDefaults() {
	setDefault(&a.MinReplicas, min(DefaultMinReplicas, a.MaxReplicas))
	if a.TargetConnectionsPerPod == nil {
		setDefault(&a.TargetUtilizationPercent, DefaultTargetUtilizationPercent)
	}
}

func (i *IngressSpec) setDefaults() {
	if i.Path == "" {
		i.Path = "/"
	}
	if i.Profile == "" {
		i.Profile = IngressProfileAuto
	}
	if i.Cookie.SameSite == "" {
		i.Cookie.SameSite = SameSiteLax
	}
	setDefault(&i.IdleTimeout, metav1.Duration{Duration: time.Hour})
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
