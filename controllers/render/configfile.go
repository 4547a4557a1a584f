package render

import (
	"encoding/json"
	"path"

	"go.yaml.in/yaml/v2"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// configFile returns the gateways' configuration as YAML. It has no secrets: gateways read those from their
// environment. To add a setting, add a line here if every release of the gateway knows its key, else to
// nonDefaultSettings.
//
// The file is an annotation of the pod, and not a ConfigMap that pods of all versions would share: a gateway that
// restarts reads what it was started with, also in the middle of a rollout to an image or a listener that needs another
// configuration, and after a rollback.
func configFile(in Input) (string, error) {
	gateway, drain := in.Spec.Gateway, in.Spec.Drain
	settings := map[string]any{
		contract.KeyAdminTokenDir:            contract.AdminTokenDir,
		contract.KeyLogFormat:                "json",
		contract.KeyMaxConnections:           *gateway.MaxConnections,
		contract.KeyMaxConnectionsPerIP:      *gateway.MaxConnectionsPerIP,
		contract.KeyConnectRate:              *gateway.ConnectRate,
		contract.KeyMaxMessageBytes:          *gateway.MaxMessageBytes,
		contract.KeyMessageRate:              *gateway.MessageRate,
		contract.KeyMaxQueuedBytes:           *gateway.MaxQueuedBytes,
		contract.KeyMaxTotalQueuedBytes:      *gateway.MaxTotalQueuedBytes,
		contract.KeyMaxChannelsPerConnection: *gateway.MaxChannelsPerConnection,
		contract.KeyHandshakeTimeout:         gateway.HandshakeTimeout.Duration.String(),
		contract.KeyConnectTimeout:           gateway.ConnectTimeout.Duration.String(),
		contract.KeyPingInterval:             gateway.PingInterval.Duration.String(),
		contract.KeyPongTimeout:              gateway.PongTimeout.Duration.String(),
		contract.KeyCompression:              *gateway.Compression,
		contract.KeyDrainTimeout:             drain.Timeout.Duration.String(),
		contract.KeyDrainPropagationDelay:    drain.PropagationDelay.Duration.String(),
		contract.KeyDrainMaxClosesPerSecond:  *drain.MaxClosesPerSecond,
	}
	if len(gateway.Channels) > 0 {
		var err error
		if settings[contract.KeyChannels], err = plain(channelRules(gateway.Channels)); err != nil {
			return "", err
		}
	}
	nonDefaultSettings(gateway, settings)
	publicPortSettings(gateway, settings)
	if code := *drain.CloseCode; code != v1alpha1.DefaultDrainCloseCode {
		settings[contract.KeyDrainCloseCode] = code
	}
	if gateway.TLS != nil {
		settings[contract.KeyTLSCertFile] = path.Join(contract.TLSDir, contract.TLSCertKey)
		settings[contract.KeyTLSKeyFile] = path.Join(contract.TLSDir, contract.TLSPrivateKey)
	}
	if len(gateway.AllowedOrigins) > 0 {
		settings[contract.KeyAllowedOrigins] = gateway.AllowedOrigins
	}
	if len(gateway.TrustedProxies) > 0 {
		settings[contract.KeyTrustedProxies] = gateway.TrustedProxies
	}
	// This depends on the spec alone, and not on the profile in use or on the installed kinds: an IngressClass or a
	// definition that is installed or removed must not roll the fleet. Where neither is in use, a draining gateway expires
	// a cookie that no client has.
	switch route := in.Spec.GatewayAPI; {
	case gateway.AffinityCookie != nil:
		settings[contract.KeyAffinityCookie] = gateway.AffinityCookie.Name
		settings[contract.KeyAffinityCookiePath] = gateway.AffinityCookie.Path
		setText(settings, contract.KeyAffinityCookieValue, gateway.AffinityCookie.Value)
	case in.Spec.Ingress != nil && in.Spec.Ingress.Profile != v1alpha1.IngressProfileNone:
		settings[contract.KeyAffinityCookie] = cookieName(in)
		settings[contract.KeyAffinityCookiePath] = cookiePath(in)
	case route != nil && route.SessionPersistence != v1alpha1.SessionPersistenceOff:
		settings[contract.KeyAffinityCookie] = routeCookieName(in)
		settings[contract.KeyAffinityCookiePath] = route.Path
	}
	brokerSettings(in, settings)

	content, err := yaml.Marshal(settings)
	return string(content), err
}

// plain returns the value as maps, lists and scalars with the names of its JSON fields. It returns an error when the
// value has no JSON.
func plain(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	var read any
	return read, yaml.Unmarshal(raw, &read)
}

// nonDefaultSettings adds the settings that gateways of older releases do not know, each only where the spec differs
// from the gateways' default. A gateway refuses a configuration with a key that it does not know.
func nonDefaultSettings(gateway v1alpha1.GatewaySpec, settings map[string]any) {
	if *gateway.MaxConnectionsPerUser > 0 {
		settings[contract.KeyMaxConnectionsPerUser] = *gateway.MaxConnectionsPerUser
	}
	if policy := gateway.ConnectionsPerUserPolicy; policy != v1alpha1.ConnectionsPerUserCloseOldest {
		settings[contract.KeyConnectionsPerUserPolicy] = policy
	}
	if *gateway.PersonalChannels {
		settings[contract.KeyPersonalChannels] = true
	}
	if ttl := gateway.Presence.TTL.Duration; ttl != v1alpha1.DefaultPresenceTTL {
		settings[contract.KeyPresenceTTL] = ttl.String()
	}
	if grace := gateway.Presence.Grace.Duration; grace != v1alpha1.DefaultPresenceGrace {
		settings[contract.KeyPresenceGrace] = grace.String()
	}
	if !*gateway.Auth.Anonymous {
		settings[contract.KeyAnonymous] = false
	}
	if jwt := gateway.Auth.JWT; jwt != nil {
		setText(settings, contract.KeyJWTJWKSURL, jwt.JWKSURL)
		setText(settings, contract.KeyJWTIssuer, jwt.Issuer)
		setText(settings, contract.KeyJWTAudience, jwt.Audience)
	}
	if gateway.Hooks != nil {
		hookSettings(*gateway.Hooks, settings)
	}
	if webhooks := gateway.Webhooks; webhooks != nil {
		settings[contract.KeyWebhookURL] = webhooks.URL
		if len(webhooks.Events) > 0 {
			settings[contract.KeyWebhookEvents] = webhooks.Events
		}
	}
}

// publicPortSettings adds the settings of the public port that gateways of older releases do not know, as
// nonDefaultSettings does.
func publicPortSettings(gateway v1alpha1.GatewaySpec, settings map[string]any) {
	if *gateway.OriginAnyPort {
		settings[contract.KeyOriginAnyPort] = true
	}
	if delay := gateway.RefusalDelay.Duration; delay != v1alpha1.DefaultRefusalDelay {
		settings[contract.KeyRefusalDelay] = delay.String()
	}
	if gateway.ProxyProtocol != v1alpha1.ProxyProtocolDisabled {
		settings[contract.KeyProxyProtocol] = string(gateway.ProxyProtocol)
	}
	if *gateway.PublicHealth {
		settings[contract.KeyPublicHealth] = true
	}
	if idle := gateway.HTTPIdleTimeout.Duration; idle != v1alpha1.DefaultHTTPIdleTimeout {
		settings[contract.KeyHTTPIdleTimeout] = idle.String()
	}
}

func hookSettings(hooks v1alpha1.HooksSpec, settings map[string]any) {
	for _, h := range []struct {
		hook        *v1alpha1.HookSpec
		urlKey      string
		whenDownKey string
	}{
		{hooks.Connect, contract.KeyHookConnectURL, contract.KeyHookConnectWhenDown},
		{hooks.Subscribe, contract.KeyHookSubscribeURL, contract.KeyHookSubscribeWhenDown},
		{hooks.Publish, contract.KeyHookPublishURL, contract.KeyHookPublishWhenDown},
	} {
		if h.hook != nil {
			settings[h.urlKey] = h.hook.URL
			settings[h.whenDownKey] = h.hook.WhenDown
		}
	}
	if hooks.RPC != nil {
		settings[contract.KeyHookRPCURL] = hooks.RPC.URL
	}
	if hooks.Refresh != nil {
		settings[contract.KeyHookRefreshURL] = hooks.Refresh.URL
	}
	if hooks.SubRefresh != nil {
		settings[contract.KeyHookSubRefreshURL] = hooks.SubRefresh.URL
	}
	settings[contract.KeyHookTimeout] = hooks.Timeout.Duration.String()
	if len(hooks.ForwardHeaders) > 0 {
		settings[contract.KeyHookForwardHeaders] = hooks.ForwardHeaders
	}
}

func setText[T ~string](settings map[string]any, key string, text T) {
	if text != "" {
		settings[key] = text
	}
}

// channelRules returns the rules of the gateways' configuration. Like nonDefaultSettings it leaves out defaults: an
// older release knows only pattern and slowConsumer.
func channelRules(specified []v1alpha1.ChannelRule) channel.Rules {
	rules := make(channel.Rules, 0, len(specified))
	for _, spec := range specified {
		rule := channel.Rule{
			Pattern:        spec.Pattern,
			Recovery:       spec.Recovery,
			Presence:       spec.Presence,
			JoinLeave:      spec.JoinLeave,
			ForceJoinLeave: spec.ForceJoinLeave,
			TagsFilter:     spec.TagsFilter,
			SlowConsumer:   channel.SlowConsumer(spec.SlowConsumer),
		}
		if spec.History != nil {
			rule.History = channel.History{
				Size: int(spec.History.Size),
				TTL:  channel.Duration(spec.History.TTL.Duration),
			}
		}
		if spec.RecoveryMode != v1alpha1.RecoveryStream {
			rule.RecoveryMode = channel.RecoveryMode(spec.RecoveryMode)
		}
		if spec.ReadPresence != v1alpha1.ReadSubscribers {
			rule.ReadPresence = channel.Read(spec.ReadPresence)
		}
		if spec.ReadHistory != v1alpha1.ReadSubscribers {
			rule.ReadHistory = channel.Read(spec.ReadHistory)
		}
		if spec.Publish != v1alpha1.PublishSubscribers {
			rule.Publish = channel.Publish(spec.Publish)
		}
		if spec.Subscribe != v1alpha1.SubscribeAnybody {
			rule.Subscribe = channel.Subscribe(spec.Subscribe)
		}
		rules = append(rules, rule)
	}
	return rules
}

func brokerSettings(in Input, settings map[string]any) {
	external := in.Spec.Redis.External
	switch {
	case external != nil:
		settings[contract.KeyRedisMode] = redisMode(external.Mode)
		settings[contract.KeyRedisAddresses] = external.Addresses
		if external.MasterName != "" {
			settings[contract.KeyRedisMasterName] = external.MasterName
		}
	case in.managedRedis():
		settings[contract.KeyRedisMode] = contract.RedisStandalone
		settings[contract.KeyRedisAddresses] = []string{redisAddress(in)}
	default:
		settings[contract.KeyBroker] = contract.BrokerMemory
		return
	}
	settings[contract.KeyBroker] = contract.BrokerRedis
	settings[contract.KeyRedisPrefix] = "wsfleet:{" + in.Namespace + "/" + in.Name + "}:"
}

func redisMode(mode v1alpha1.RedisMode) string {
	switch mode {
	case v1alpha1.RedisSentinel:
		return contract.RedisSentinel
	case v1alpha1.RedisCluster:
		return contract.RedisCluster
	default:
		return contract.RedisStandalone
	}
}
