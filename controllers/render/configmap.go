package render

import (
	"path"

	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/gateway/channel"
	"github.com/wsfleet/wsfleet/gateway/contract"
)

// gatewayConfigMap holds the gateways' configuration file. Secrets are not in it: they reach the
// gateway as environment.
func gatewayConfigMap(in Input) (any, error) {
	content, err := configFile(in)
	if err != nil {
		return nil, err
	}
	return coreac.ConfigMap(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithData(map[string]string{path.Base(contract.ConfigFile): content}), nil
}

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
		settings[contract.KeyChannels] = channelRules(gateway.Channels)
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
	// By the spec alone: an IngressClass that comes and goes must not roll the fleet. Where no profile
	// applies, a draining gateway expires a cookie that no client has.
	if in.Spec.Ingress != nil && in.Spec.Ingress.Profile != v1alpha1.IngressProfileNone {
		settings[contract.KeyAffinityCookie] = cookieName(in)
		settings[contract.KeyAffinityCookiePath] = cookiePath(in)
	}
	brokerSettings(in, settings)

	content, err := yaml.Marshal(settings)
	return string(content), err
}

func channelRules(wanted []v1alpha1.ChannelRule) channel.Rules {
	rules := make(channel.Rules, 0, len(wanted))
	for _, rule := range wanted {
		rules = append(rules, channel.Rule{Pattern: rule.Pattern, SlowConsumer: channel.SlowConsumer(rule.SlowConsumer)})
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
