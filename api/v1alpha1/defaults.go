package v1alpha1

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// DefaultTargetUtilizationPercent is the average utilization of gateways that the autoscaler aims at if the spec sets
// no target.
const DefaultTargetUtilizationPercent = 75

// DefaultReplicas is the size of a new fleet whose spec leaves replicas out. It is no default of the schema: a fleet
// that exists keeps its size when replicas is left out.
const DefaultReplicas = 2

// DefaultMinReplicas is the default of autoscaling.minReplicas, unless maxReplicas is less.
const DefaultMinReplicas = 2

// DefaultExistingMetric is the default of autoscaling.existingMetric.name: the name that the gateways' own metric has.
const DefaultExistingMetric = "websocket_connections"

// DefaultMaxTotalQueuedBytes is the default of gateway.maxTotalQueuedBytes, unless maxQueuedBytes is more.
const DefaultMaxTotalQueuedBytes = 256 << 20

// Defaults that are also the gateways' own: the operator leaves them out of the configuration.
const (
	// DefaultPresenceTTL is the default of gateway.presence.ttl.
	DefaultPresenceTTL = time.Minute
	// DefaultPresenceGrace is the default of gateway.presence.grace.
	DefaultPresenceGrace = 15 * time.Second
	// DefaultHTTPIdleTimeout is the default of gateway.httpIdleTimeout.
	DefaultHTTPIdleTimeout = 75 * time.Second
	// DefaultRefusalDelay is the default of gateway.refusalDelay.
	DefaultRefusalDelay = 3 * time.Second
	// DefaultDrainCloseCode is the default of drain.closeCode.
	DefaultDrainCloseCode = 1012
)

// Default keys of the Secrets that the spec names. They differ, so that one Secret can hold all values.
const (
	// DefaultAPIKeyName is the default key of gateway.auth.apiKeySecretRef.
	DefaultAPIKeyName = "api-key"
	// DefaultPreviousAPIKeyName is the default key of gateway.auth.previousAPIKeySecretRef.
	DefaultPreviousAPIKeyName = "api-previous-key"
	// DefaultJWTKeyName is the default key of gateway.auth.jwt.secretRef.
	DefaultJWTKeyName = "jwt-key"
	// DefaultPreviousJWTKeyName is the default key of gateway.auth.jwt.previousSecretRef.
	DefaultPreviousJWTKeyName = "jwt-previous-key"
	// DefaultHookSecretName is the default key of gateway.hooks.secretRef.
	DefaultHookSecretName = "hook-secret"
)

// SetDefaults sets the fields that the spec leaves out, except replicas, which depends on the existing fleet. The
// schema has the same defaults, which a test checks, with two exceptions. A default in the stored object would conflict
// with the user's next change of redis, gateway.maxTotalQueuedBytes, autoscaling.minReplicas or the autoscaling target.
// The keys of Secrets have a common type, but a default for each field.
func (s *WebSocketClusterSpec) SetDefaults() {
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
	setDefault(&s.Drain.CloseCode, DefaultDrainCloseCode)
	if s.Rollout.RefusalPolicy == "" {
		s.Rollout.RefusalPolicy = RefusalPause
	}
	if s.Drain.ScaleIn == "" {
		s.Drain.ScaleIn = ScaleInPreDrain
	}
	setDefault(&s.Rollout.MaxReconnectsPerSecond, 0)
	setDefault(&s.Rollout.MaxSurge, intstr.FromInt32(1))
	setDefault(&s.Rollout.MaxUnavailable, intstr.FromInt32(0))
	setDefault(&s.Rollout.MinReadySeconds, 20)
	setDefault(&s.Rebalance.TolerancePercent, 20)
	setDefault(&s.Rebalance.MaxShedPerMinute, intstr.FromString("5%"))
	if s.Autoscaling != nil {
		s.Autoscaling.setDefaults()
	}
	if s.Service.Type == "" {
		s.Service.Type = corev1.ServiceTypeClusterIP
	}
	setDefault(&s.Service.ClientIPTimeoutSeconds, 10_800)
	if s.Ingress != nil {
		s.Ingress.setDefaults()
	}
	if s.GatewayAPI != nil {
		s.GatewayAPI.setDefaults()
	}
	setDefault(&s.Disruption.MaxUnavailable, intstr.FromInt32(1))
	if s.Disruption.EvictionSafe == "" {
		s.Disruption.EvictionSafe = EvictionSafeAlways
	}
	s.NetworkPolicy.setDefaults()
	s.Monitoring.PodMonitor = cmp.Or(s.Monitoring.PodMonitor, MonitoringAuto)
	s.Monitoring.Rules = cmp.Or(s.Monitoring.Rules, MonitoringDisabled)
}

func (g *GatewaySpec) setDefaults() {
	setDefault(&g.MaxConnections, 10_000)
	setDefault(&g.MaxConnectionsPerIP, 0)
	setDefault(&g.MaxConnectionsPerUser, 0)
	g.ConnectionsPerUserPolicy = cmp.Or(g.ConnectionsPerUserPolicy, ConnectionsPerUserCloseOldest)
	setDefault(&g.ConnectRate, 500)
	setDefault(&g.MaxMessageBytes, 65_536)
	setDefault(&g.MessageRate, 100)
	setDefault(&g.MaxQueuedBytes, 1_048_576)
	setDefault(&g.MaxTotalQueuedBytes, max(DefaultMaxTotalQueuedBytes, int64(*g.MaxQueuedBytes)))
	setDefault(&g.MaxChannelsPerConnection, 128)
	setDefault(&g.HandshakeTimeout, metav1.Duration{Duration: 10 * time.Second})
	setDefault(&g.RefusalDelay, metav1.Duration{Duration: DefaultRefusalDelay})
	setDefault(&g.ConnectTimeout, metav1.Duration{Duration: 10 * time.Second})
	setDefault(&g.PingInterval, metav1.Duration{Duration: 25 * time.Second})
	setDefault(&g.PongTimeout, metav1.Duration{Duration: 8 * time.Second})
	setDefault(&g.Compression, false)
	setDefault(&g.PersonalChannels, false)
	setDefault(&g.OriginAnyPort, false)
	g.ProxyProtocol = cmp.Or(g.ProxyProtocol, ProxyProtocolDisabled)
	if g.AffinityCookie != nil {
		g.AffinityCookie.Path = cmp.Or(g.AffinityCookie.Path, "/")
	}
	setDefault(&g.PublicHealth, false)
	setDefault(&g.HTTPIdleTimeout, metav1.Duration{Duration: DefaultHTTPIdleTimeout})
	for i := range g.Channels {
		g.Channels[i].setDefaults()
	}
	setDefault(&g.Presence.TTL, metav1.Duration{Duration: DefaultPresenceTTL})
	setDefault(&g.Presence.Grace, metav1.Duration{Duration: DefaultPresenceGrace})
	setDefault(&g.Auth.Anonymous, true)
	if g.Hooks != nil {
		g.Hooks.setDefaults()
	}
	g.setDefaultKeys()
}

func (r *ChannelRule) setDefaults() {
	r.RecoveryMode = cmp.Or(r.RecoveryMode, RecoveryStream)
	r.ReadHistory = cmp.Or(r.ReadHistory, ReadSubscribers)
	r.ReadPresence = cmp.Or(r.ReadPresence, ReadSubscribers)
	r.Publish = cmp.Or(r.Publish, PublishSubscribers)
	r.Subscribe = cmp.Or(r.Subscribe, SubscribeAnybody)
	r.SlowConsumer = cmp.Or(r.SlowConsumer, SlowConsumerDisconnect)
}

func (h *HooksSpec) setDefaults() {
	for _, hook := range []*HookSpec{h.Connect, h.Subscribe, h.Publish} {
		if hook != nil {
			hook.WhenDown = cmp.Or(hook.WhenDown, HookRefuse)
		}
	}
	setDefault(&h.Timeout, metav1.Duration{Duration: time.Second})
}

func (g *GatewaySpec) setDefaultKeys() {
	setDefaultKey(g.Auth.APIKeySecretRef, DefaultAPIKeyName)
	setDefaultKey(g.Auth.PreviousAPIKeySecretRef, DefaultPreviousAPIKeyName)
	if jwt := g.Auth.JWT; jwt != nil {
		setDefaultKey(jwt.SecretRef, DefaultJWTKeyName)
		setDefaultKey(jwt.PreviousSecretRef, DefaultPreviousJWTKeyName)
	}
	if g.Hooks != nil {
		setDefaultKey(g.Hooks.SecretRef, DefaultHookSecretName)
	}
}

func (a *AutoscalingSpec) setDefaults() {
	setDefault(&a.MinReplicas, min(DefaultMinReplicas, a.MaxReplicas))
	if a.TargetConnectionsPerPod == nil {
		setDefault(&a.TargetUtilizationPercent, DefaultTargetUtilizationPercent)
	}
	a.Metrics = cmp.Or(a.Metrics, AutoscalingMetricsAuto)
	a.ExistingMetric.Type = cmp.Or(a.ExistingMetric.Type, ExistingMetricPods)
	a.ExistingMetric.Name = cmp.Or(a.ExistingMetric.Name, DefaultExistingMetric)
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

func (g *GatewayAPISpec) setDefaults() {
	g.Path = cmp.Or(g.Path, "/")
	g.SessionPersistence = cmp.Or(g.SessionPersistence, SessionPersistenceAuto)
}

func (n *NetworkPolicySpec) setDefaults() {
	setDefault(&n.Enabled, true)
	// An empty list is a choice of the user.
	if n.MetricsFrom == nil {
		n.MetricsFrom = []NetworkPeer{{
			NamespaceSelector: &metav1.LabelSelector{},
			PodSelector:       &metav1.LabelSelector{MatchLabels: map[string]string{"app.kubernetes.io/name": "prometheus"}},
		}}
	}
}

func setDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}

func setDefaultKey(ref *SecretKeyReference, key string) {
	if ref != nil {
		ref.Key = cmp.Or(ref.Key, key)
	}
}
