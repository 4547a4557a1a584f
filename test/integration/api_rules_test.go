package integration

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const (
	saysReplicasNeedRedis = "more than 1 replica requires Redis, which carries messages between gateways: set spec.redis.managed or spec.redis.external, or set spec.replicas to 1"
	saysMaxNeedsRedis     = "more than 1 replica requires Redis, which carries messages between gateways: set spec.redis.managed or spec.redis.external, or set spec.autoscaling.maxReplicas to 1"
	saysName              = "metadata.name must be at most 50 characters, begin with a letter, and contain only lower-case letters, digits and '-', because the names of Services begin with it: choose another name"
	saysPercentage        = "must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	saysOwnAnnotations    = "the prefix wsfleet.dev/ is reserved for the operator: use other annotation names"
	saysOwnLabels         = "the prefix wsfleet.dev/ and the labels app.kubernetes.io/name, instance, component, managed-by and part-of are reserved for the operator: use other label names"
	saysOwnEnv            = "variables that begin with WSFLEET_ are reserved for the operator, except WSFLEET_LOG_LEVEL and WSFLEET_LOG_FORMAT: use the fields of spec.gateway, spec.redis and spec.drain"
	saysQuantity          = "each must be a quantity, such as 500m or 256Mi"
	saysTolerance         = "must be a quantity, such as 0.1"
	saysPing              = "must be a duration from 1s to 1h, such as 25s or 1m30s"
	saysPong              = "must be a duration from 1ms to 1h, such as 8s or 500ms"
	saysDrainTimeout      = "must be a duration from 0s to 24h, such as 30s, 5m or 1h30m"
	saysDelay             = "must be a duration from 0s to 24h, such as 10s or 1m"
	saysIdle              = "must be a duration from 2s to 168h, such as 10m or 1h"
	saysMaxAge            = "must be a duration from 1s to 8760h, such as 1h or 48h"
	saysOrigin            = "each origin must be scheme://host[:port] without a path, such as https://app.example.com, https://*.example.com, or *"
	saysNetwork           = "each must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	saysAddress           = "each must be host:port without a scheme, such as redis.example.com:6379"
	saysHost              = "each must be a host name in lower case without scheme, port or path, such as ws.example.com or *.example.com"
	saysPath              = "must begin with / and have only letters, digits, '/', '.', '_', '~' and '-'"
	saysCookieName        = "must have only letters, digits, '_' and '-'"
	saysSecureCookie      = "browsers refuse SameSite=None without Secure: set spec.ingress.cookie.secure to true, or sameSite to Lax or Strict"
	saysMasterName        = "is required with mode Sentinel and not allowed with another mode: set or remove spec.redis.external.masterName, or change spec.redis.external.mode"
	saysOneAddress        = "mode Standalone requires exactly one address: keep one, or set spec.redis.external.mode to Sentinel or Cluster"
	saysQueue             = "must not be less than spec.gateway.maxMessageBytes, or the largest message would not fit: raise spec.gateway.maxQueuedBytes or lower spec.gateway.maxMessageBytes"
	saysTotalQueue        = "must not be less than spec.gateway.maxQueuedBytes, the queue of one client: raise spec.gateway.maxTotalQueuedBytes or lower spec.gateway.maxQueuedBytes"
	saysFirstWords        = "must be a duration from 1s to 10m, such as 5s or 1m"
	saysSamePattern       = "two rules have the same pattern, and the second never applies: remove one of them"
	saysNothingKept       = "requires history: set history in this rule, or remove recovery"
	saysNobodyKnown       = "requires presence: set presence to true in this rule, or remove joinLeave"
	saysFalseRecovery     = "must be Disconnect with recovery, because a client that skips messages cannot recover them: set slowConsumer to Disconnect in this rule, or remove recovery"
	saysHistoryTTL        = "must be a duration from 1s to 720h, such as 10m or 24h"
	saysPresenceTTL       = "must be a duration from 5s to 1h, such as 30s or 5m"
	saysGrace             = "must be a duration from 0s to 5m, such as 15s or 1m"
	saysGraceBelowTTL     = "must be shorter than spec.gateway.presence.ttl: lower spec.gateway.presence.grace or raise spec.gateway.presence.ttl"
	saysNobodyConnects    = "requires tokens or a connect hook, or no client could connect: set spec.gateway.auth.jwt or spec.gateway.hooks.connect, or set spec.gateway.auth.anonymous to true"
	saysAPIKeyBefore      = "requires the key that replaces it: set spec.gateway.auth.apiKeySecretRef, or remove spec.gateway.auth.previousAPIKeySecretRef"
	saysOneKeySource      = "requires exactly one source of keys: set spec.gateway.auth.jwt.secretRef or spec.gateway.auth.jwt.jwksURL, not both"
	saysJWTKeyBefore      = "requires the key that replaces it: set spec.gateway.auth.jwt.secretRef, or remove spec.gateway.auth.jwt.previousSecretRef"
	saysURL               = "must be an http or https URL without credentials and fragment, such as https://app.example.com/path"
	saysHookTimeout       = "must be a duration from 10ms to 30s, such as 500ms or 2s"
	saysHeader            = "each must be a header name, such as Cookie or X-Request-Id; headers of the connection and of the hook's own request are not allowed, such as Host, Upgrade, Content-* and Webhook-*"
	saysPongBelowPing     = "must be shorter than spec.gateway.pingInterval: lower spec.gateway.pongTimeout or raise spec.gateway.pingInterval"
	saysIdleAbovePing     = "must be longer than spec.gateway.pingInterval, or the proxy closes idle connections between two pings: raise spec.ingress.idleTimeout or lower spec.gateway.pingInterval"
	saysTarget            = "must not be greater than spec.gateway.maxConnections, or the fleet would never grow: lower the target or raise spec.gateway.maxConnections"
	saysMinAboveMax       = "must not be greater than spec.autoscaling.maxReplicas: lower spec.autoscaling.minReplicas or raise spec.autoscaling.maxReplicas"
	saysOneTarget         = "targetConnectionsPerPod and targetUtilizationPercent exclude each other: remove spec.autoscaling.targetConnectionsPerPod or spec.autoscaling.targetUtilizationPercent"
	saysOneRedis          = "managed and external exclude each other: remove spec.redis.managed or spec.redis.external"
	saysBothZero          = "maxSurge and maxUnavailable must not both be 0, or no pod could ever be replaced: raise spec.rollout.maxSurge or spec.rollout.maxUnavailable"
	saysDelayBelowTimeout = "must be shorter than spec.drain.timeout: lower spec.drain.propagationDelay or raise spec.drain.timeout"
	saysTrafficPolicy     = "is allowed only with type NodePort or LoadBalancer: remove spec.service.externalTrafficPolicy or change spec.service.type"
	saysBalancerClass     = "is allowed only with type LoadBalancer: remove spec.service.loadBalancerClass or set spec.service.type to LoadBalancer"
	saysBalancerKept      = "cannot be changed on an existing load balancer: set spec.service.type to ClusterIP first, then to LoadBalancer with the new class"
	saysDivisor           = "each valueFrom.resourceFieldRef.divisor must be one unit, such as 1, 1m or 1Mi"
	saysModeKept          = "cannot be changed, because gateways in different modes do not receive each other's messages: create a new WebSocketCluster"
)

// refusedByRule has every CEL rule that one manifest alone can break.
func refusedByRule() []refusal {
	return []refusal{
		{title: "51 characters", name: "a23456789012345678901234567890123456789012345678901", field: "<nil>", says: saysName},
		{title: "with a dot", name: "fleet.one", field: "<nil>", says: saysName},
		{title: "with a digit in front", name: "1fleet", field: "<nil>", says: saysName},

		{title: "without Redis", spec: "{redis: {}, replicas: 2}", field: "spec.replicas", says: saysReplicasNeedRedis},
		{title: "by default without Redis", spec: "redis: {}", field: "spec.replicas", says: saysReplicasNeedRedis},
		{spec: "{redis: {}, replicas: 1, autoscaling: {maxReplicas: 2}}", field: "spec.autoscaling.maxReplicas", says: saysMaxNeedsRedis},
		{spec: "redis: {managed: {}, external: {addresses: ['r:6379']}}", field: "spec.redis", says: saysOneRedis},
		{title: "missing with Sentinel", spec: "redis: {external: {mode: Sentinel, addresses: ['s:26379']}}", field: "spec.redis.external.masterName", says: saysMasterName},
		{title: "empty with Sentinel", spec: "redis: {external: {mode: Sentinel, masterName: '', addresses: ['s:26379']}}", field: "spec.redis.external.masterName", says: saysMasterName},
		{title: "with Standalone", spec: "redis: {external: {masterName: m, addresses: ['r:6379']}}", field: "spec.redis.external.masterName", says: saysMasterName},
		{title: "with Cluster", spec: "redis: {external: {mode: Cluster, masterName: m, addresses: ['r:6379']}}", field: "spec.redis.external.masterName", says: saysMasterName},
		{title: "two with Standalone", spec: "redis: {external: {addresses: ['r:6379', 's:6379']}}", field: "spec.redis.external.addresses", says: saysOneAddress},
		{title: "with a scheme", spec: "redis: {external: {addresses: ['redis://r:6379']}}", field: "spec.redis.external.addresses", says: saysAddress},
		{title: "without a port", spec: "redis: {external: {addresses: [r]}}", field: "spec.redis.external.addresses", says: saysAddress},

		{spec: "{gateway: {maxConnections: 100}, autoscaling: {maxReplicas: 3, targetConnectionsPerPod: 101}}", field: "spec.autoscaling.targetConnectionsPerPod", says: saysTarget},
		{spec: "autoscaling: {minReplicas: 4, maxReplicas: 3}", field: "spec.autoscaling.minReplicas", says: saysMinAboveMax},
		{spec: "autoscaling: {maxReplicas: 3, targetConnectionsPerPod: 10, targetUtilizationPercent: 50}", field: "spec.autoscaling", says: saysOneTarget},

		{title: "like pingInterval", spec: "gateway: {pingInterval: 8s}", field: "spec.gateway.pongTimeout", says: saysPongBelowPing},
		{title: "longer than pingInterval in another unit", spec: "gateway: {pingInterval: 2s, pongTimeout: 2001ms}", field: "spec.gateway.pongTimeout", says: saysPongBelowPing},
		{spec: "gateway: {maxMessageBytes: 2097152}", field: "spec.gateway.maxQueuedBytes", says: saysQueue},
		{title: "below maxQueuedBytes", spec: "gateway: {maxTotalQueuedBytes: 1048575}", field: "spec.gateway.maxTotalQueuedBytes", says: saysTotalQueue},
		{title: "below maxQueuedBytes of one's own", spec: "gateway: {maxQueuedBytes: 1073741824, maxTotalQueuedBytes: 268435456}", field: "spec.gateway.maxTotalQueuedBytes", says: saysTotalQueue},
		{title: "without a unit", spec: "gateway: {handshakeTimeout: '10'}", field: "spec.gateway.handshakeTimeout", says: saysFirstWords},
		{title: "too short", spec: "gateway: {handshakeTimeout: 999ms}", field: "spec.gateway.handshakeTimeout", says: saysFirstWords},
		{title: "too long", spec: "gateway: {handshakeTimeout: 10m1s}", field: "spec.gateway.handshakeTimeout", says: saysFirstWords},
		{title: "without a unit", spec: "gateway: {connectTimeout: '10'}", field: "spec.gateway.connectTimeout", says: saysFirstWords},
		{title: "of nothing", spec: "gateway: {connectTimeout: 0s}", field: "spec.gateway.connectTimeout", says: saysFirstWords},
		{title: "with a pattern twice", spec: "gateway: {channels: [{pattern: a}, {pattern: b}, {pattern: a, slowConsumer: DropOldest}]}", field: "spec.gateway.channels", says: saysSamePattern},
		{spec: "gateway: {channels: [{pattern: a, recovery: true}]}", field: "spec.gateway.channels[0].recovery", says: saysNothingKept},
		{spec: "gateway: {channels: [{pattern: a, joinLeave: true}]}", field: "spec.gateway.channels[0].joinLeave", says: saysNobodyKnown},
		{title: "with presence off", spec: "gateway: {channels: [{pattern: a, presence: false, joinLeave: true}]}", field: "spec.gateway.channels[0].joinLeave", says: saysNobodyKnown},
		{title: "DropOldest with recovery", spec: "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, recovery: true, slowConsumer: DropOldest}]}", field: "spec.gateway.channels[0].slowConsumer", says: saysFalseRecovery},
		{title: "LatestOnly with recovery", spec: "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, recovery: true, slowConsumer: LatestOnly}]}", field: "spec.gateway.channels[0].slowConsumer", says: saysFalseRecovery},
		{title: "too short", spec: "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 999ms}}]}", field: "spec.gateway.channels[0].history.ttl", says: saysHistoryTTL},
		{title: "too long", spec: "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 720h1s}}]}", field: "spec.gateway.channels[0].history.ttl", says: saysHistoryTTL},
		{title: "of days", spec: "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 30d}}]}", field: "spec.gateway.channels[0].history.ttl", says: saysHistoryTTL},
		{title: "too short", spec: "gateway: {presence: {ttl: 4s, grace: 0s}}", field: "spec.gateway.presence.ttl", says: saysPresenceTTL},
		{title: "too long", spec: "gateway: {presence: {ttl: 1h1s}}", field: "spec.gateway.presence.ttl", says: saysPresenceTTL},
		{title: "too long", spec: "gateway: {presence: {ttl: 1h, grace: 5m1s}}", field: "spec.gateway.presence.grace", says: saysGrace},
		{title: "below 0", spec: "gateway: {presence: {grace: -1s}}", field: "spec.gateway.presence.grace", says: saysGrace},
		{title: "like ttl", spec: "gateway: {presence: {ttl: 15s}}", field: "spec.gateway.presence.grace", says: saysGraceBelowTTL},
		{title: "longer than ttl by default", spec: "gateway: {presence: {grace: 61s}}", field: "spec.gateway.presence.grace", says: saysGraceBelowTTL},
		{title: "false without tokens", spec: "gateway: {auth: {anonymous: false}}", field: "spec.gateway.auth.anonymous", says: saysNobodyConnects},
		{title: "false with another hook", spec: "gateway: {auth: {anonymous: false}, hooks: {subscribe: {url: 'http://a'}}}", field: "spec.gateway.auth.anonymous", says: saysNobodyConnects},
		{spec: "gateway: {auth: {previousAPIKeySecretRef: {name: a}}}", field: "spec.gateway.auth.previousAPIKeySecretRef", says: saysAPIKeyBefore},
		{title: "with none", spec: "gateway: {auth: {jwt: {}}}", field: "spec.gateway.auth.jwt", says: saysOneKeySource},
		{title: "with an issuer only", spec: "gateway: {auth: {jwt: {issuer: a}}}", field: "spec.gateway.auth.jwt", says: saysOneKeySource},
		{title: "with both", spec: "gateway: {auth: {jwt: {secretRef: {name: a}, jwksURL: 'https://a/k'}}}", field: "spec.gateway.auth.jwt", says: saysOneKeySource},
		{spec: "gateway: {auth: {jwt: {previousSecretRef: {name: a}, jwksURL: 'https://a/k'}}}", field: "spec.gateway.auth.jwt.previousSecretRef", says: saysJWTKeyBefore},
		{title: "without a scheme", spec: "gateway: {auth: {jwt: {jwksURL: id.example.com/k}}}", field: "spec.gateway.auth.jwt.jwksURL", says: saysURL},
		{title: "with credentials", spec: "gateway: {hooks: {connect: {url: 'http://u:p@a/'}}}", field: "spec.gateway.hooks.connect.url", says: saysURL},
		{title: "with a user", spec: "gateway: {hooks: {connect: {url: 'http://u@a/'}}}", field: "spec.gateway.hooks.connect.url", says: saysURL},
		{title: "with a fragment", spec: "gateway: {hooks: {subscribe: {url: 'http://a/#b'}}}", field: "spec.gateway.hooks.subscribe.url", says: saysURL},
		{title: "of another kind", spec: "gateway: {hooks: {publish: {url: 'ws://a/'}}}", field: "spec.gateway.hooks.publish.url", says: saysURL},
		{title: "with a port above 65535", spec: "gateway: {hooks: {rpc: {url: 'http://a:65536/'}}}", field: "spec.gateway.hooks.rpc.url", says: saysURL},
		{title: "with port 0", spec: "gateway: {hooks: {rpc: {url: 'http://a:0'}}}", field: "spec.gateway.hooks.rpc.url", says: saysURL},
		{title: "with a broken escape", spec: "gateway: {hooks: {rpc: {url: 'http://a/%zz'}}}", field: "spec.gateway.hooks.rpc.url", says: saysURL},
		{title: "without a host", spec: "gateway: {webhooks: {url: 'http:///events'}}", field: "spec.gateway.webhooks.url", says: saysURL},
		{title: "with a space", spec: "gateway: {webhooks: {url: 'http://a/b c'}}", field: "spec.gateway.webhooks.url", says: saysURL},
		{title: "too short", spec: "gateway: {hooks: {timeout: 9ms}}", field: "spec.gateway.hooks.timeout", says: saysHookTimeout},
		{title: "too long", spec: "gateway: {hooks: {timeout: 30001ms}}", field: "spec.gateway.hooks.timeout", says: saysHookTimeout},
		{title: "with a value", spec: "gateway: {hooks: {forwardHeaders: ['Cookie: a']}}", field: "spec.gateway.hooks.forwardHeaders", says: saysHeader},
		{title: "empty", spec: "gateway: {hooks: {forwardHeaders: ['']}}", field: "spec.gateway.hooks.forwardHeaders", says: saysHeader},
		{title: "of the hook", spec: "gateway: {hooks: {forwardHeaders: [Content-type]}}", field: "spec.gateway.hooks.forwardHeaders", says: saysHeader},
		{title: "of the handshake", spec: "gateway: {hooks: {forwardHeaders: [Sec-WebSocket-Key]}}", field: "spec.gateway.hooks.forwardHeaders", says: saysHeader},
		{title: "of the connection", spec: "gateway: {hooks: {forwardHeaders: [TE]}}", field: "spec.gateway.hooks.forwardHeaders", says: saysHeader},
		{title: "without a unit", spec: "gateway: {pingInterval: '25'}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "of days", spec: "gateway: {pingInterval: 1d}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "in words", spec: "gateway: {pingInterval: 25 seconds}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "empty", spec: "gateway: {pingInterval: ''}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "below 0", spec: "gateway: {pingInterval: -25s}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "too short", spec: "gateway: {pingInterval: 999ms, pongTimeout: 1ms}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "too long", spec: "gateway: {pingInterval: 1h1s}", field: "spec.gateway.pingInterval", says: saysPing},
		{title: "without a unit", spec: "gateway: {pongTimeout: '8'}", field: "spec.gateway.pongTimeout", says: saysPong},
		{title: "of nothing", spec: "gateway: {pongTimeout: 0s}", field: "spec.gateway.pongTimeout", says: saysPong},
		{title: "without a scheme", spec: "gateway: {allowedOrigins: [app.example.com]}", field: "spec.gateway.allowedOrigins", says: saysOrigin},
		{title: "with a path", spec: "gateway: {allowedOrigins: ['https://app.example.com/']}", field: "spec.gateway.allowedOrigins", says: saysOrigin},
		{title: "one address", spec: "gateway: {trustedProxies: [10.1.2.3]}", field: "spec.gateway.trustedProxies", says: saysNetwork},
		{title: "no network", spec: "gateway: {trustedProxies: [10.0.0.0/33]}", field: "spec.gateway.trustedProxies", says: saysNetwork},

		{title: "without a unit", spec: "drain: {timeout: '300'}", field: "spec.drain.timeout", says: saysDrainTimeout},
		{title: "above a day", spec: "drain: {timeout: 25h}", field: "spec.drain.timeout", says: saysDrainTimeout},
		{title: "below 0", spec: "drain: {timeout: -1s}", field: "spec.drain.timeout", says: saysDrainTimeout},
		{title: "without a unit", spec: "drain: {propagationDelay: '10'}", field: "spec.drain.propagationDelay", says: saysDelay},
		{title: "like timeout", spec: "drain: {timeout: 10s}", field: "spec.drain.propagationDelay", says: saysDelayBelowTimeout},

		{title: "with maxUnavailable 0", spec: "rollout: {maxSurge: 0}", field: "spec.rollout", says: saysBothZero},
		{title: "both 0 %", spec: "rollout: {maxSurge: 0%, maxUnavailable: 00%}", field: "spec.rollout", says: saysBothZero},
		{title: "below 0", spec: "rollout: {maxSurge: -1}", field: "spec.rollout.maxSurge", says: saysPercentage},
		{title: "above all", spec: "rollout: {maxSurge: 101%}", field: "spec.rollout.maxSurge", says: saysPercentage},
		{title: "in words", spec: "rollout: {maxUnavailable: all}", field: "spec.rollout.maxUnavailable", says: saysPercentage},
		{title: "a number in quotes", spec: "rollout: {maxUnavailable: '1'}", field: "spec.rollout.maxUnavailable", says: saysPercentage},
		{spec: "disruption: {maxUnavailable: -1}", field: "spec.disruption.maxUnavailable", says: saysPercentage},

		{spec: "service: {externalTrafficPolicy: Local}", field: "spec.service.externalTrafficPolicy", says: saysTrafficPolicy},
		{spec: "service: {type: NodePort, loadBalancerClass: a.example/b}", field: "spec.service.loadBalancerClass", says: saysBalancerClass},
		{spec: "service: {annotations: {wsfleet.dev/x: v}}", field: "spec.service.annotations", says: saysOwnAnnotations},

		{title: "too short", spec: "ingress: {idleTimeout: 1s}", field: "spec.ingress.idleTimeout", says: saysIdle},
		{title: "without a unit", spec: "ingress: {idleTimeout: '3600'}", field: "spec.ingress.idleTimeout", says: saysIdle},
		{title: "like pingInterval", spec: "ingress: {idleTimeout: 25s}", field: "spec.ingress.idleTimeout", says: saysIdleAbovePing},
		{title: "with a port", spec: "ingress: {hosts: ['ws.example.com:80']}", field: "spec.ingress.hosts", says: saysHost},
		{title: "in capitals", spec: "ingress: {hosts: [WS.example.com]}", field: "spec.ingress.hosts", says: saysHost},
		{spec: "ingress: {path: ws}", field: "spec.ingress.path", says: saysPath},
		{spec: "ingress: {annotations: {wsfleet.dev/x: v}}", field: "spec.ingress.annotations", says: saysOwnAnnotations},
		{spec: "ingress: {cookie: {name: 'a;b'}}", field: "spec.ingress.cookie.name", says: saysCookieName},
		{spec: "ingress: {cookie: {maxAge: 0s}}", field: "spec.ingress.cookie.maxAge", says: saysMaxAge},
		{title: "left out with None", spec: "ingress: {cookie: {sameSite: None}}", field: "spec.ingress.cookie.secure", says: saysSecureCookie},
		{title: "false with None", spec: "ingress: {cookie: {sameSite: None, secure: false}}", field: "spec.ingress.cookie.secure", says: saysSecureCookie},

		{title: "of the operator", spec: "pod: {labels: {wsfleet.dev/cluster: other}}", field: "spec.pod.labels", says: saysOwnLabels},
		{title: "of the selector", spec: "pod: {labels: {app.kubernetes.io/component: other}}", field: "spec.pod.labels", says: saysOwnLabels},
		{spec: "pod: {annotations: {wsfleet.dev/x: v}}", field: "spec.pod.annotations", says: saysOwnAnnotations},
		{spec: "pod: {env: [{name: WSFLEET_BROKER, value: memory}]}", field: "spec.pod.env", says: saysOwnEnv},
	}
}

// changesRefused has every CEL rule that compares the new object with the old one.
func changesRefused() []change {
	return []change{
		{
			title: "mode", from: "redis: {external: {addresses: ['r:6379']}}",
			to: "redis: {external: {mode: Cluster, addresses: ['r:6379']}}", field: "spec.redis.external.mode", says: saysModeKept,
		},
		{
			title: "loadBalancerClass", from: "service: {type: LoadBalancer, loadBalancerClass: a.example/b}",
			to: "service: {type: LoadBalancer, loadBalancerClass: a.example/c}", field: "spec.service.loadBalancerClass", says: saysBalancerKept,
		},
		{
			title: "loadBalancerClass removed", from: "service: {type: LoadBalancer, loadBalancerClass: a.example/b}",
			to: "service: {type: LoadBalancer}", field: "spec.service.loadBalancerClass", says: saysBalancerKept,
		},
	}
}

func TestRulesRefuse(t *testing.T) {
	t.Parallel()
	testRefusals(t, refusedByRule())
}

// A rule that nobody tries may say nothing, or the wrong thing.
func TestEveryRuleHasACase(t *testing.T) {
	t.Parallel()
	type rule struct{ field, says string }
	cases := map[rule]bool{}
	for _, r := range slices.Concat(refusedByRule(), refusedAsUnreadable()) {
		cases[rule{schemaPath(r.field), r.says}] = true
	}
	for _, c := range changesRefused() {
		cases[rule{schemaPath(c.field), c.says}] = true
	}
	rules := 0
	walkSchema(readSchema(t), func(path string, _ bool, schema *apiextensionsv1.JSONSchemaProps) {
		for _, validation := range schema.XValidations {
			rules++
			field := path + validation.FieldPath
			assert.True(t, cases[rule{field, validation.Message}], "no manifest breaks the rule %s: %s", field, validation.Message)
		}
	})
	assert.NotZero(t, rules)
}
