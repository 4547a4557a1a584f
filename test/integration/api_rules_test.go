package integration

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

const (
	msgReplicasNeedRedis = "more than 1 replica requires Redis, which carries messages between gateways: set " +
		"spec.redis.managed or spec.redis.external, or set spec.replicas to 1"
	msgMaxNeedsRedis = "more than 1 replica requires Redis, which carries messages between gateways: set " +
		"spec.redis.managed or spec.redis.external, or set spec.autoscaling.maxReplicas to 1"
	msgName = "metadata.name must be at most 50 characters, begin with a letter, and contain only " +
		"lower-case letters, digits and '-', because the names of Services begin with it: choose another name"
	msgShed           = "must be a number from 1 to 60000000 or a percentage from 1% to 100%, such as 600 or 5%"
	msgPercentage     = "must be a number from 0 or a percentage from 0% to 100%, such as 1 or 25%"
	msgOwnAnnotations = "the prefix wsfleet.dev/ is reserved for the operator: use other annotation names"
	msgOwnLabels      = "the prefix wsfleet.dev/ and the labels app.kubernetes.io/name, instance, component, " +
		"managed-by and part-of are reserved for the operator: use other label names"
	msgLabelName = "each name must be a label name, such as team or example.com/team: up to 63 letters, digits, '-', " +
		"'_' and '.', after an optional domain and '/'"
	msgLabelValue = "each value must be a label value: up to 63 letters, digits, '-', '_' and '.', with a letter or " +
		"digit at both ends"
	msgAnnotationName = "each name must be an annotation name, such as team or example.com/team: up to 63 letters, " +
		"digits, '-', '_' and '.', after an optional domain and '/'"
	msgOwnEnv = "variables that begin with WSFLEET_ are reserved for the operator, except WSFLEET_LOG_LEVEL " +
		"and WSFLEET_LOG_FORMAT: use the fields of spec.gateway, spec.redis and spec.drain"
	msgQuantity     = "each must be a quantity from 0, such as 500m or 256Mi"
	msgTolerance    = "must be a quantity, such as 0.1"
	msgPing         = "must be a duration from 1s to 1h, such as 25s or 1m30s"
	msgPong         = "must be a duration from 1ms to 1h, such as 8s or 500ms"
	msgDrainTimeout = "must be a duration from 0s to 24h, such as 30s, 5m or 1h30m"
	msgDelay        = "must be a duration from 0s to 24h, such as 10s or 1m"
	msgIdle         = "must be a duration from 2s to 168h, such as 10m or 1h"
	msgMaxAge       = "must be a duration from 1s to 8760h, such as 1h or 48h"
	msgOrigin       = "each origin must be scheme://host[:port] without a path, such as https://app.example.com, " +
		"https://*.example.com, or *"
	msgNetwork       = "each must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	msgProxyProtocol = "requires the networks of the proxies, because headers from elsewhere are refused: set " +
		"spec.gateway.trustedProxies, or set spec.gateway.proxyProtocol to Disabled"
	msgAffinityValue = "must have {name} once, and otherwise only letters, digits, '.', '_', '~', ':' and '-'"
	msgOneAffinity   = "must not be set together with spec.ingress or spec.gatewayAPI, because a gateway expires one " +
		"cookie: remove it, or set spec.ingress.profile to none or spec.gatewayAPI.sessionPersistence to Off"
	msgRefusalDelay = "must be a duration from 0s to 10s, such as 3s or 500ms"
	msgIdleTimeout  = "must be a duration from 1s to 1h, such as 75s or 620s"
	msgCloseCode    = "must be 1001, 1012, 1013, 3000 to 3499, 4000, or 4100 to 4299: other codes make some clients' " +
		"libraries stay away"
	msgAddress = "each must be host:port without a scheme, such as redis.example.com:6379"
	msgHost    = "each must be a host name in lower case without scheme, port or path, such as ws.example.com " +
		"or *.example.com"
	msgPath          = "must begin with / and have only letters, digits, '/', '.', '_', '~' and '-'"
	msgCookieName    = "must have only letters, digits, '_' and '-'"
	msgIngressCookie = "nginx.ingress.kubernetes.io/session-cookie-name and " +
		"haproxy-ingress.github.io/session-cookie-name must be names of cookies: letters, digits, '-' and '_', or set " +
		"spec.ingress.cookie.name instead"
	msgIngressCookiePath = "nginx.ingress.kubernetes.io/session-cookie-path must begin with / and have no space and no ';'"
	msgServiceCookie     = "traefik.ingress.kubernetes.io/service.sticky.cookie.name and haproxy.org/cookie-persistence " +
		"must be names of cookies: letters, digits, '-' and '_', or set spec.ingress.cookie.name instead"
	msgServiceCookiePath = "traefik.ingress.kubernetes.io/service.sticky.cookie.path must begin with / and have no " +
		"space and no ';'"
	msgSecureCookie = "browsers refuse SameSite=None without Secure: set spec.ingress.cookie.secure to true, or " +
		"sameSite to Lax or Strict"
	msgMasterName = "is required with mode Sentinel and not allowed with another mode: set or remove " +
		"spec.redis.external.masterName, or change spec.redis.external.mode"
	msgOneAddress = "mode Standalone requires exactly one address: keep one, or set spec.redis.external.mode to " +
		"Sentinel or Cluster"
	msgQueue = "must not be less than spec.gateway.maxMessageBytes, or the largest message would not fit: " +
		"raise spec.gateway.maxQueuedBytes or lower spec.gateway.maxMessageBytes"
	msgTotalQueue = "must not be less than spec.gateway.maxQueuedBytes, the queue of one client: raise " +
		"spec.gateway.maxTotalQueuedBytes or lower spec.gateway.maxQueuedBytes"
	msgFirstWords    = "must be a duration from 1s to 10m, such as 5s or 1m"
	msgSamePattern   = "two rules have the same pattern, and the second never applies: remove one of them"
	msgNothingKept   = "requires history: set history in this rule, or remove recovery"
	msgNothingCached = "requires recovery: set recovery to true in this rule, or remove recoveryMode"
	msgNobodyKnown   = "requires presence: set presence to true in this rule, or remove joinLeave"
	msgNothingForced = "requires joinLeave: set joinLeave to true in this rule, or remove forceJoinLeave"
	msgNoMembersKept = "requires presence: set presence to true in this rule, or remove readPresence"
	msgNoHistoryKept = "requires history: set history in this rule, or remove readHistory"
	msgFalseRecovery = "must be Disconnect with recovery, because a client that skips messages cannot recover them: " +
		"set slowConsumer to Disconnect in this rule, or remove recovery"
	msgHistoryTTL    = "must be a duration from 1s to 720h, such as 10m or 24h"
	msgPresenceTTL   = "must be a duration from 5s to 1h, such as 30s or 5m"
	msgGrace         = "must be a duration from 0s to 5m, such as 15s or 1m"
	msgGraceBelowTTL = "must be shorter than spec.gateway.presence.ttl: lower spec.gateway.presence.grace or raise " +
		"spec.gateway.presence.ttl"
	msgNobodyConnects = "requires tokens or a connect hook, or no client could connect: set spec.gateway.auth.jwt or " +
		"spec.gateway.hooks.connect, or set spec.gateway.auth.anonymous to true"
	msgAPIKeyBefore = "requires the key that replaces it: set spec.gateway.auth.apiKeySecretRef, or remove " +
		"spec.gateway.auth.previousAPIKeySecretRef"
	msgOneKeySource = "requires exactly one source of keys: set spec.gateway.auth.jwt.secretRef or " +
		"spec.gateway.auth.jwt.jwksURL, not both"
	msgJWTKeyBefore = "requires the key that replaces it: set spec.gateway.auth.jwt.secretRef, or remove " +
		"spec.gateway.auth.jwt.previousSecretRef"
	msgURL = "must be an http or https URL without credentials and fragment, such as " +
		"https://app.example.com/path"
	msgHookTimeout = "must be a duration from 10ms to 30s, such as 500ms or 2s"
	msgHeader      = "each must be a header name, such as Cookie or X-Request-Id; headers of the connection and " +
		"of the hook's own request are not allowed, such as Host, Upgrade, Content-* and Webhook-*"
	msgPongBelowPing = "must be shorter than spec.gateway.pingInterval: lower spec.gateway.pongTimeout or raise " +
		"spec.gateway.pingInterval"
	msgIdleAbovePing = "must be longer than spec.gateway.pingInterval, or the proxy closes idle connections between " +
		"two pings: raise spec.ingress.idleTimeout or lower spec.gateway.pingInterval"
	msgTarget = "must not be greater than spec.gateway.maxConnections, or the fleet would never grow: lower " +
		"the target or raise spec.gateway.maxConnections"
	msgMinAboveMax = "must not be greater than spec.autoscaling.maxReplicas: lower spec.autoscaling.minReplicas " +
		"or raise spec.autoscaling.maxReplicas"
	msgOneTarget = "targetConnectionsPerPod and targetUtilizationPercent exclude each other: remove " +
		"spec.autoscaling.targetConnectionsPerPod or spec.autoscaling.targetUtilizationPercent"
	msgZeroNeedsObject = "0 requires a metric that exists without pods: set spec.autoscaling.existingMetric.type to " +
		"Object, or spec.autoscaling.minReplicas to 1"
	msgRatioIsBuiltIn = "requires the built-in metrics: set spec.autoscaling.metrics to Auto or BuiltIn, or remove " +
		"spec.autoscaling.maxUtilizationPercent"
	msgMetricName = "must begin with a letter or '_' and have only letters, digits, '_', ':', '.' and '-', such as " +
		"websocket_connections"
	msgOneRedis = "managed and external exclude each other: remove spec.redis.managed or spec.redis.external"
	msgBothZero = "maxSurge and maxUnavailable must not both be 0, or no pod could ever be replaced: raise " +
		"spec.rollout.maxSurge or spec.rollout.maxUnavailable"
	msgDelayBelowTimeout = "must be shorter than spec.drain.timeout: lower spec.drain.propagationDelay or raise " +
		"spec.drain.timeout"
	msgTrafficPolicy = "is allowed only with type NodePort or LoadBalancer: remove " +
		"spec.service.externalTrafficPolicy or change spec.service.type"
	msgBalancerClass = "is allowed only with type LoadBalancer: remove spec.service.loadBalancerClass or set " +
		"spec.service.type to LoadBalancer"
	msgNodePort = "is allowed only with type NodePort or LoadBalancer: remove spec.service.nodePort or change " +
		"spec.service.type"
	msgSourceRanges = "is allowed only with type LoadBalancer: remove spec.service.loadBalancerSourceRanges or set " +
		"spec.service.type to LoadBalancer"
	msgTwoFamilies = "two families require dual stack: set spec.service.ipFamilyPolicy to PreferDualStack or " +
		"RequireDualStack, or keep one family"
	msgSameFamily = "the same family twice: remove one of them"
	msgFamilyKept = "the first family of a Service cannot be changed: keep the first entry of spec.service.ipFamilies, " +
		"or create a new WebSocketCluster"
	msgBalancerKept = "cannot be changed on an existing load balancer: set spec.service.type to ClusterIP first, " +
		"then to LoadBalancer with the new class"
	msgStorageSize   = "must be a quantity of at least 64Mi, such as 1Gi"
	msgStorageShrunk = "cannot be lowered, because a volume cannot shrink: keep the size, or with spec.replicas 0 " +
		"remove spec.redis.managed.storage and then add it with the new size"
	msgStorageClass = "cannot be changed, because a volume cannot change its class: with spec.replicas 0, remove " +
		"spec.redis.managed.storage and then add it with the new class"
	msgStorageKept = "cannot be added or removed while the fleet serves, because Redis would lose its data: set " +
		"spec.replicas to 0 first, or create a second WebSocketCluster"
	msgDivisor  = "each valueFrom.resourceFieldRef.divisor must be one unit, such as 1, 1m or 1Mi"
	msgModeKept = "can be changed only while spec.replicas is 0, because gateways in different modes do not receive " +
		"each other's messages: set spec.replicas to 0 first and raise it afterwards, or create a second WebSocketCluster"
	msgRedisKept = "can be changed between managed and external only while spec.replicas is 0, because gateways of the " +
		"two do not receive each other's messages: set spec.replicas to 0 first and raise it afterwards, or create a " +
		"second WebSocketCluster"
	msgRedisNeeded = "can be emptied only while spec.replicas is 0 or 1, because gateways without Redis do not receive " +
		"each other's messages: set spec.replicas to 1 first"
	msgRoutePath = "must be the same as spec.ingress.path, because a draining gateway expires one cookie: change one of " +
		"them, or remove spec.ingress"
	msgRouteCookie = "must be the same as spec.ingress.cookie.name, because a draining gateway expires one cookie: " +
		"change one of them, or remove spec.ingress"
	msgPeer = "must have either ipBlock, or podSelector, namespaceSelector or both: add or remove one"
	msgCIDR = "must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
)

// refusedByRule returns a manifest for every CEL rule that one manifest alone can break.
func refusedByRule() []refusal {
	return []refusal{
		{title: "51 characters", name: "a23456789012345678901234567890123456789012345678901", field: "<nil>", msg: msgName},
		{title: "with a dot", name: "fleet.one", field: "<nil>", msg: msgName},
		{title: "with a digit in front", name: "1fleet", field: "<nil>", msg: msgName},

		{title: "without Redis", spec: "{redis: {}, replicas: 2}", field: "spec.replicas", msg: msgReplicasNeedRedis},
		{
			spec:  "{redis: {}, replicas: 1, autoscaling: {maxReplicas: 2}}",
			field: "spec.autoscaling.maxReplicas",
			msg:   msgMaxNeedsRedis,
		},
		{spec: "redis: {managed: {}, external: {addresses: ['r:6379']}}", field: "spec.redis", msg: msgOneRedis},
		{
			title: "missing with Sentinel",
			spec:  "redis: {external: {mode: Sentinel, addresses: ['s:26379']}}",
			field: "spec.redis.external.masterName",
			msg:   msgMasterName,
		},
		{
			title: "empty with Sentinel",
			spec:  "redis: {external: {mode: Sentinel, masterName: '', addresses: ['s:26379']}}",
			field: "spec.redis.external.masterName",
			msg:   msgMasterName,
		},
		{
			title: "with Standalone",
			spec:  "redis: {external: {masterName: m, addresses: ['r:6379']}}",
			field: "spec.redis.external.masterName",
			msg:   msgMasterName,
		},
		{
			title: "with Cluster",
			spec:  "redis: {external: {mode: Cluster, masterName: m, addresses: ['r:6379']}}",
			field: "spec.redis.external.masterName",
			msg:   msgMasterName,
		},
		{
			title: "two with Standalone",
			spec:  "redis: {external: {addresses: ['r:6379', 's:6379']}}",
			field: "spec.redis.external.addresses",
			msg:   msgOneAddress,
		},
		{
			title: "with a scheme",
			spec:  "redis: {external: {addresses: ['redis://r:6379']}}",
			field: "spec.redis.external.addresses",
			msg:   msgAddress,
		},
		{
			title: "without a port",
			spec:  "redis: {external: {addresses: [r]}}",
			field: "spec.redis.external.addresses",
			msg:   msgAddress,
		},

		{
			spec:  "{gateway: {maxConnections: 100}, autoscaling: {maxReplicas: 3, targetConnectionsPerPod: 101}}",
			field: "spec.autoscaling.targetConnectionsPerPod",
			msg:   msgTarget,
		},
		{spec: "autoscaling: {minReplicas: 4, maxReplicas: 3}", field: "spec.autoscaling.minReplicas", msg: msgMinAboveMax},
		{
			title: "0 with a Pods metric",
			spec:  "autoscaling: {minReplicas: 0, maxReplicas: 3, metrics: Existing}",
			field: "spec.autoscaling.minReplicas",
			msg:   msgZeroNeedsObject,
		},
		{
			spec:  "autoscaling: {maxReplicas: 3, metrics: Existing, maxUtilizationPercent: 90}",
			field: "spec.autoscaling.maxUtilizationPercent",
			msg:   msgRatioIsBuiltIn,
		},
		{
			title: "with a slash",
			spec:  "autoscaling: {maxReplicas: 3, existingMetric: {name: a/b}}",
			field: "spec.autoscaling.existingMetric.name",
			msg:   msgMetricName,
		},
		{
			spec:  "autoscaling: {maxReplicas: 3, targetConnectionsPerPod: 10, targetUtilizationPercent: 50}",
			field: "spec.autoscaling",
			msg:   msgOneTarget,
		},

		{
			title: "like pingInterval",
			spec:  "gateway: {pingInterval: 8s}",
			field: "spec.gateway.pongTimeout",
			msg:   msgPongBelowPing,
		},
		{
			title: "longer than pingInterval in another unit",
			spec:  "gateway: {pingInterval: 2s, pongTimeout: 2001ms}",
			field: "spec.gateway.pongTimeout",
			msg:   msgPongBelowPing,
		},
		{spec: "gateway: {maxMessageBytes: 2097152}", field: "spec.gateway.maxQueuedBytes", msg: msgQueue},
		{
			title: "below maxQueuedBytes",
			spec:  "gateway: {maxTotalQueuedBytes: 1048575}",
			field: "spec.gateway.maxTotalQueuedBytes",
			msg:   msgTotalQueue,
		},
		{
			title: "below maxQueuedBytes of one's own",
			spec:  "gateway: {maxQueuedBytes: 1073741824, maxTotalQueuedBytes: 268435456}",
			field: "spec.gateway.maxTotalQueuedBytes",
			msg:   msgTotalQueue,
		},
		{
			title: "without a unit",
			spec:  "gateway: {handshakeTimeout: '10'}",
			field: "spec.gateway.handshakeTimeout",
			msg:   msgFirstWords,
		},
		{
			title: "too short",
			spec:  "gateway: {handshakeTimeout: 999ms}",
			field: "spec.gateway.handshakeTimeout",
			msg:   msgFirstWords,
		},
		{
			title: "too long",
			spec:  "gateway: {handshakeTimeout: 10m1s}",
			field: "spec.gateway.handshakeTimeout",
			msg:   msgFirstWords,
		},
		{
			title: "without a unit",
			spec:  "gateway: {connectTimeout: '10'}",
			field: "spec.gateway.connectTimeout",
			msg:   msgFirstWords,
		},
		{
			title: "of nothing",
			spec:  "gateway: {connectTimeout: 0s}",
			field: "spec.gateway.connectTimeout",
			msg:   msgFirstWords,
		},
		{
			title: "with a pattern twice",
			spec:  "gateway: {channels: [{pattern: a}, {pattern: b}, {pattern: a, slowConsumer: DropOldest}]}",
			field: "spec.gateway.channels",
			msg:   msgSamePattern,
		},
		{
			spec:  "gateway: {channels: [{pattern: a, recovery: true}]}",
			field: "spec.gateway.channels[0].recovery",
			msg:   msgNothingKept,
		},
		{
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, recoveryMode: Cache}]}",
			field: "spec.gateway.channels[0].recoveryMode",
			msg:   msgNothingCached,
		},
		{
			title: "with recovery off",
			spec:  "gateway: {channels: [{pattern: a, recovery: false, recoveryMode: Cache}]}",
			field: "spec.gateway.channels[0].recoveryMode",
			msg:   msgNothingCached,
		},
		{
			spec:  "gateway: {channels: [{pattern: a, joinLeave: true}]}",
			field: "spec.gateway.channels[0].joinLeave",
			msg:   msgNobodyKnown,
		},
		{
			title: "with presence off",
			spec:  "gateway: {channels: [{pattern: a, presence: false, joinLeave: true}]}",
			field: "spec.gateway.channels[0].joinLeave",
			msg:   msgNobodyKnown,
		},
		{
			spec:  "gateway: {channels: [{pattern: a, presence: true, forceJoinLeave: true}]}",
			field: "spec.gateway.channels[0].forceJoinLeave",
			msg:   msgNothingForced,
		},
		{
			title: "with joinLeave off",
			spec:  "gateway: {channels: [{pattern: a, presence: true, joinLeave: false, forceJoinLeave: true}]}",
			field: "spec.gateway.channels[0].forceJoinLeave",
			msg:   msgNothingForced,
		},
		{
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, readPresence: Anybody}]}",
			field: "spec.gateway.channels[0].readPresence",
			msg:   msgNoMembersKept,
		},
		{
			title: "with presence off",
			spec:  "gateway: {channels: [{pattern: a, presence: false, readPresence: Anybody}]}",
			field: "spec.gateway.channels[0].readPresence",
			msg:   msgNoMembersKept,
		},
		{
			spec:  "gateway: {channels: [{pattern: a, presence: true, readHistory: Anybody}]}",
			field: "spec.gateway.channels[0].readHistory",
			msg:   msgNoHistoryKept,
		},
		{
			title: "DropOldest with recovery",
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, recovery: true, slowConsumer: DropOldest}]}",
			field: "spec.gateway.channels[0].slowConsumer",
			msg:   msgFalseRecovery,
		},
		{
			title: "LatestOnly with recovery",
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, recovery: true, slowConsumer: LatestOnly}]}",
			field: "spec.gateway.channels[0].slowConsumer",
			msg:   msgFalseRecovery,
		},
		{
			title: "too short",
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 999ms}}]}",
			field: "spec.gateway.channels[0].history.ttl",
			msg:   msgHistoryTTL,
		},
		{
			title: "too long",
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 720h1s}}]}",
			field: "spec.gateway.channels[0].history.ttl",
			msg:   msgHistoryTTL,
		},
		{
			title: "of days",
			spec:  "gateway: {channels: [{pattern: a, history: {size: 1, ttl: 30d}}]}",
			field: "spec.gateway.channels[0].history.ttl",
			msg:   msgHistoryTTL,
		},
		{
			title: "too short",
			spec:  "gateway: {presence: {ttl: 4s, grace: 0s}}",
			field: "spec.gateway.presence.ttl",
			msg:   msgPresenceTTL,
		},
		{
			title: "too long",
			spec:  "gateway: {presence: {ttl: 1h1s}}",
			field: "spec.gateway.presence.ttl",
			msg:   msgPresenceTTL,
		},
		{
			title: "too long",
			spec:  "gateway: {presence: {ttl: 1h, grace: 5m1s}}",
			field: "spec.gateway.presence.grace",
			msg:   msgGrace,
		},
		{title: "below 0", spec: "gateway: {presence: {grace: -1s}}", field: "spec.gateway.presence.grace", msg: msgGrace},
		{
			title: "like ttl",
			spec:  "gateway: {presence: {ttl: 15s}}",
			field: "spec.gateway.presence.grace",
			msg:   msgGraceBelowTTL,
		},
		{
			title: "longer than ttl by default",
			spec:  "gateway: {presence: {grace: 61s}}",
			field: "spec.gateway.presence.grace",
			msg:   msgGraceBelowTTL,
		},
		{
			title: "false without tokens",
			spec:  "gateway: {auth: {anonymous: false}}",
			field: "spec.gateway.auth.anonymous",
			msg:   msgNobodyConnects,
		},
		{
			title: "false with another hook",
			spec:  "gateway: {auth: {anonymous: false}, hooks: {subscribe: {url: 'http://a'}}}",
			field: "spec.gateway.auth.anonymous",
			msg:   msgNobodyConnects,
		},
		{
			spec:  "gateway: {auth: {previousAPIKeySecretRef: {name: a}}}",
			field: "spec.gateway.auth.previousAPIKeySecretRef",
			msg:   msgAPIKeyBefore,
		},
		{title: "with none", spec: "gateway: {auth: {jwt: {}}}", field: "spec.gateway.auth.jwt", msg: msgOneKeySource},
		{
			title: "with an issuer only",
			spec:  "gateway: {auth: {jwt: {issuer: a}}}",
			field: "spec.gateway.auth.jwt",
			msg:   msgOneKeySource,
		},
		{
			title: "with both",
			spec:  "gateway: {auth: {jwt: {secretRef: {name: a}, jwksURL: 'https://a/k'}}}",
			field: "spec.gateway.auth.jwt",
			msg:   msgOneKeySource,
		},
		{
			spec:  "gateway: {auth: {jwt: {previousSecretRef: {name: a}, jwksURL: 'https://a/k'}}}",
			field: "spec.gateway.auth.jwt.previousSecretRef",
			msg:   msgJWTKeyBefore,
		},
		{
			title: "without a scheme",
			spec:  "gateway: {auth: {jwt: {jwksURL: id.example.com/k}}}",
			field: "spec.gateway.auth.jwt.jwksURL",
			msg:   msgURL,
		},
		{
			title: "with credentials",
			spec:  "gateway: {hooks: {connect: {url: 'http://u:p@a/'}}}",
			field: "spec.gateway.hooks.connect.url",
			msg:   msgURL,
		},
		{
			title: "with a user",
			spec:  "gateway: {hooks: {connect: {url: 'http://u@a/'}}}",
			field: "spec.gateway.hooks.connect.url",
			msg:   msgURL,
		},
		{
			title: "with a fragment",
			spec:  "gateway: {hooks: {subscribe: {url: 'http://a/#b'}}}",
			field: "spec.gateway.hooks.subscribe.url",
			msg:   msgURL,
		},
		{
			title: "of another kind",
			spec:  "gateway: {hooks: {publish: {url: 'ws://a/'}}}",
			field: "spec.gateway.hooks.publish.url",
			msg:   msgURL,
		},
		{
			title: "with a port above 65535",
			spec:  "gateway: {hooks: {rpc: {url: 'http://a:65536/'}}}",
			field: "spec.gateway.hooks.rpc.url",
			msg:   msgURL,
		},
		{
			title: "with port 0",
			spec:  "gateway: {hooks: {rpc: {url: 'http://a:0'}}}",
			field: "spec.gateway.hooks.rpc.url",
			msg:   msgURL,
		},
		{
			title: "with a broken escape",
			spec:  "gateway: {hooks: {rpc: {url: 'http://a/%zz'}}}",
			field: "spec.gateway.hooks.rpc.url",
			msg:   msgURL,
		},
		{
			title: "with a fragment and nothing else behind the host",
			spec:  "gateway: {hooks: {refresh: {url: 'http://a#b'}}}",
			field: "spec.gateway.hooks.refresh.url",
			msg:   msgURL,
		},
		{
			title: "without a scheme",
			spec:  "gateway: {hooks: {subRefresh: {url: 'a/sub'}}}",
			field: "spec.gateway.hooks.subRefresh.url",
			msg:   msgURL,
		},
		{
			title: "without a host",
			spec:  "gateway: {webhooks: {url: 'http:///events'}}",
			field: "spec.gateway.webhooks.url",
			msg:   msgURL,
		},
		{
			title: "with a space",
			spec:  "gateway: {webhooks: {url: 'http://a/b c'}}",
			field: "spec.gateway.webhooks.url",
			msg:   msgURL,
		},
		{
			title: "too short",
			spec:  "gateway: {hooks: {timeout: 9ms}}",
			field: "spec.gateway.hooks.timeout",
			msg:   msgHookTimeout,
		},
		{
			title: "too long",
			spec:  "gateway: {hooks: {timeout: 30001ms}}",
			field: "spec.gateway.hooks.timeout",
			msg:   msgHookTimeout,
		},
		{
			title: "with a value",
			spec:  "gateway: {hooks: {forwardHeaders: ['Cookie: a']}}",
			field: "spec.gateway.hooks.forwardHeaders",
			msg:   msgHeader,
		},
		{
			title: "empty",
			spec:  "gateway: {hooks: {forwardHeaders: ['']}}",
			field: "spec.gateway.hooks.forwardHeaders",
			msg:   msgHeader,
		},
		{
			title: "of the hook",
			spec:  "gateway: {hooks: {forwardHeaders: [Content-type]}}",
			field: "spec.gateway.hooks.forwardHeaders",
			msg:   msgHeader,
		},
		{
			title: "of the handshake",
			spec:  "gateway: {hooks: {forwardHeaders: [Sec-WebSocket-Key]}}",
			field: "spec.gateway.hooks.forwardHeaders",
			msg:   msgHeader,
		},
		{
			title: "of the connection",
			spec:  "gateway: {hooks: {forwardHeaders: [TE]}}",
			field: "spec.gateway.hooks.forwardHeaders",
			msg:   msgHeader,
		},
		{title: "without a unit", spec: "gateway: {pingInterval: '25'}", field: "spec.gateway.pingInterval", msg: msgPing},
		{title: "of days", spec: "gateway: {pingInterval: 1d}", field: "spec.gateway.pingInterval", msg: msgPing},
		{title: "in words", spec: "gateway: {pingInterval: 25 seconds}", field: "spec.gateway.pingInterval", msg: msgPing},
		{title: "empty", spec: "gateway: {pingInterval: ''}", field: "spec.gateway.pingInterval", msg: msgPing},
		{title: "below 0", spec: "gateway: {pingInterval: -25s}", field: "spec.gateway.pingInterval", msg: msgPing},
		{
			title: "too short",
			spec:  "gateway: {pingInterval: 999ms, pongTimeout: 1ms}",
			field: "spec.gateway.pingInterval",
			msg:   msgPing,
		},
		{title: "too long", spec: "gateway: {pingInterval: 1h1s}", field: "spec.gateway.pingInterval", msg: msgPing},
		{title: "without a unit", spec: "gateway: {pongTimeout: '8'}", field: "spec.gateway.pongTimeout", msg: msgPong},
		{title: "of nothing", spec: "gateway: {pongTimeout: 0s}", field: "spec.gateway.pongTimeout", msg: msgPong},
		{
			title: "without a scheme",
			spec:  "gateway: {allowedOrigins: [app.example.com]}",
			field: "spec.gateway.allowedOrigins",
			msg:   msgOrigin,
		},
		{
			title: "with a path",
			spec:  "gateway: {allowedOrigins: ['https://app.example.com/']}",
			field: "spec.gateway.allowedOrigins",
			msg:   msgOrigin,
		},
		{
			title: "with a file",
			spec:  "gateway: {allowedOrigins: ['file:///index.html']}",
			field: "spec.gateway.allowedOrigins",
			msg:   msgOrigin,
		},
		{
			title: "one address",
			spec:  "gateway: {trustedProxies: [10.1.2.3]}",
			field: "spec.gateway.trustedProxies",
			msg:   msgNetwork,
		},
		{
			title: "no network",
			spec:  "gateway: {trustedProxies: [10.0.0.0/33]}",
			field: "spec.gateway.trustedProxies",
			msg:   msgNetwork,
		},

		{
			title: "the PROXY protocol without proxies",
			spec:  "gateway: {proxyProtocol: Optional}",
			field: "spec.gateway.proxyProtocol",
			msg:   msgProxyProtocol,
		},
		{
			title: "the PROXY protocol with an empty list",
			spec:  "gateway: {proxyProtocol: Required, trustedProxies: []}",
			field: "spec.gateway.proxyProtocol",
			msg:   msgProxyProtocol,
		},
		{
			title: "a space",
			spec:  "gateway: {affinityCookie: {name: 'a b'}}",
			field: "spec.gateway.affinityCookie.name",
			msg:   msgCookieName,
		},
		{
			title: "no slash",
			spec:  "gateway: {affinityCookie: {name: a, path: x}}",
			field: "spec.gateway.affinityCookie.path",
			msg:   msgPath,
		},
		{
			title: "the same for all gateways",
			spec:  "gateway: {affinityCookie: {name: a, value: b}}",
			field: "spec.gateway.affinityCookie.value",
			msg:   msgAffinityValue,
		},
		{
			title: "no cookie value",
			spec:  "gateway: {affinityCookie: {name: a, value: '{name};'}}",
			field: "spec.gateway.affinityCookie.value",
			msg:   msgAffinityValue,
		},
		{
			title: "beside an Ingress with a profile",
			spec:  "{gateway: {affinityCookie: {name: a}}, ingress: {}}",
			field: "spec.gateway.affinityCookie",
			msg:   msgOneAffinity,
		},
		{
			title: "beside a route with a cookie",
			spec:  "{gateway: {affinityCookie: {name: a}}, gatewayAPI: {parentRefs: [{name: a}]}}",
			field: "spec.gateway.affinityCookie",
			msg:   msgOneAffinity,
		},
		{
			title: "refusals held for too long",
			spec:  "gateway: {refusalDelay: 10001ms}",
			field: "spec.gateway.refusalDelay",
			msg:   msgRefusalDelay,
		},
		{
			title: "a delay without a unit",
			spec:  "gateway: {refusalDelay: '3'}",
			field: "spec.gateway.refusalDelay",
			msg:   msgRefusalDelay,
		},
		{
			title: "too long to keep alive",
			spec:  "gateway: {httpIdleTimeout: 61m}",
			field: "spec.gateway.httpIdleTimeout",
			msg:   msgIdleTimeout,
		},
		{
			title: "no keep-alive",
			spec:  "gateway: {httpIdleTimeout: 0s}",
			field: "spec.gateway.httpIdleTimeout",
			msg:   msgIdleTimeout,
		},
		{title: "an error", spec: "drain: {closeCode: 1011}", field: "spec.drain.closeCode", msg: msgCloseCode},
		{title: "reserved", spec: "drain: {closeCode: 2999}", field: "spec.drain.closeCode", msg: msgCloseCode},
		{title: "final to Centrifuge", spec: "drain: {closeCode: 3500}", field: "spec.drain.closeCode", msg: msgCloseCode},
		{title: "final to Pusher", spec: "drain: {closeCode: 4001}", field: "spec.drain.closeCode", msg: msgCloseCode},
		{title: "without a unit", spec: "drain: {timeout: '300'}", field: "spec.drain.timeout", msg: msgDrainTimeout},
		{title: "above a day", spec: "drain: {timeout: 25h}", field: "spec.drain.timeout", msg: msgDrainTimeout},
		{title: "below 0", spec: "drain: {timeout: -1s}", field: "spec.drain.timeout", msg: msgDrainTimeout},
		{
			title: "without a unit",
			spec:  "drain: {propagationDelay: '10'}",
			field: "spec.drain.propagationDelay",
			msg:   msgDelay,
		},
		{
			title: "like timeout",
			spec:  "drain: {timeout: 10s}",
			field: "spec.drain.propagationDelay",
			msg:   msgDelayBelowTimeout,
		},

		{
			title: "none", spec: "rebalance: {maxShedPerMinute: 0}", field: "spec.rebalance.maxShedPerMinute", msg: msgShed,
		},
		{title: "0 %", spec: "rebalance: {maxShedPerMinute: 0%}", field: "spec.rebalance.maxShedPerMinute", msg: msgShed},
		{
			title: "more than all", spec: "rebalance: {maxShedPerMinute: 101%}", field: "spec.rebalance.maxShedPerMinute",
			msg: msgShed,
		},
		{
			title: "too fast", spec: "rebalance: {maxShedPerMinute: 60000001}", field: "spec.rebalance.maxShedPerMinute",
			msg: msgShed,
		},

		{title: "with maxUnavailable 0", spec: "rollout: {maxSurge: 0}", field: "spec.rollout", msg: msgBothZero},
		{title: "both 0 %", spec: "rollout: {maxSurge: 0%, maxUnavailable: 00%}", field: "spec.rollout", msg: msgBothZero},
		{title: "below 0", spec: "rollout: {maxSurge: -1}", field: "spec.rollout.maxSurge", msg: msgPercentage},
		{title: "above all", spec: "rollout: {maxSurge: 101%}", field: "spec.rollout.maxSurge", msg: msgPercentage},
		{title: "in words", spec: "rollout: {maxUnavailable: all}", field: "spec.rollout.maxUnavailable", msg: msgPercentage},
		{
			title: "a number in quotes",
			spec:  "rollout: {maxUnavailable: '1'}",
			field: "spec.rollout.maxUnavailable",
			msg:   msgPercentage,
		},
		{spec: "disruption: {maxUnavailable: -1}", field: "spec.disruption.maxUnavailable", msg: msgPercentage},

		{spec: "service: {externalTrafficPolicy: Local}", field: "spec.service.externalTrafficPolicy", msg: msgTrafficPolicy},
		{
			spec:  "service: {type: NodePort, loadBalancerClass: a.example/b}",
			field: "spec.service.loadBalancerClass",
			msg:   msgBalancerClass,
		},
		{spec: "service: {nodePort: 30080}", field: "spec.service.nodePort", msg: msgNodePort},
		{
			spec:  "service: {type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8]}",
			field: "spec.service.loadBalancerSourceRanges",
			msg:   msgSourceRanges,
		},
		{
			title: "one address",
			spec:  "service: {type: LoadBalancer, loadBalancerSourceRanges: [10.1.2.3]}",
			field: "spec.service.loadBalancerSourceRanges",
			msg:   msgNetwork,
		},
		{spec: "service: {ipFamilies: [IPv4, IPv6]}", field: "spec.service.ipFamilies", msg: msgTwoFamilies},
		{
			title: "with single stack",
			spec:  "service: {ipFamilies: [IPv4, IPv6], ipFamilyPolicy: SingleStack}",
			field: "spec.service.ipFamilies",
			msg:   msgTwoFamilies,
		},
		{
			title: "twice",
			spec:  "service: {ipFamilies: [IPv4, IPv4], ipFamilyPolicy: PreferDualStack}",
			field: "spec.service.ipFamilies",
			msg:   msgSameFamily,
		},
		{spec: "service: {annotations: {wsfleet.dev/x: v}}", field: "spec.service.annotations", msg: msgOwnAnnotations},

		{title: "too short", spec: "ingress: {idleTimeout: 1s}", field: "spec.ingress.idleTimeout", msg: msgIdle},
		{title: "without a unit", spec: "ingress: {idleTimeout: '3600'}", field: "spec.ingress.idleTimeout", msg: msgIdle},
		{
			title: "like pingInterval",
			spec:  "ingress: {idleTimeout: 25s}",
			field: "spec.ingress.idleTimeout",
			msg:   msgIdleAbovePing,
		},
		{title: "with a port", spec: "ingress: {hosts: ['ws.example.com:80']}", field: "spec.ingress.hosts", msg: msgHost},
		{title: "in capitals", spec: "ingress: {hosts: [WS.example.com]}", field: "spec.ingress.hosts", msg: msgHost},
		{spec: "ingress: {path: ws}", field: "spec.ingress.path", msg: msgPath},
		{spec: "ingress: {annotations: {wsfleet.dev/x: v}}", field: "spec.ingress.annotations", msg: msgOwnAnnotations},
		{
			title: "of ingress-nginx",
			spec:  "ingress: {annotations: {nginx.ingress.kubernetes.io/session-cookie-name: 'my cookie'}}",
			field: "spec.ingress.annotations",
			msg:   msgIngressCookie,
		},
		{
			title: "of haproxy-ingress",
			spec:  "ingress: {annotations: {haproxy-ingress.github.io/session-cookie-name: 'a;b'}}",
			field: "spec.ingress.annotations",
			msg:   msgIngressCookie,
		},
		{
			title: "without a slash",
			spec:  "ingress: {annotations: {nginx.ingress.kubernetes.io/session-cookie-path: ws}}",
			field: "spec.ingress.annotations",
			msg:   msgIngressCookiePath,
		},
		{
			title: "of Traefik",
			spec:  "service: {annotations: {traefik.ingress.kubernetes.io/service.sticky.cookie.name: 'my cookie'}}",
			field: "spec.service.annotations",
			msg:   msgServiceCookie,
		},
		{
			title: "of HAProxy",
			spec:  "service: {annotations: {haproxy.org/cookie-persistence: ''}}",
			field: "spec.service.annotations",
			msg:   msgServiceCookie,
		},
		{
			title: "without a slash",
			spec:  "service: {annotations: {traefik.ingress.kubernetes.io/service.sticky.cookie.path: ws}}",
			field: "spec.service.annotations",
			msg:   msgServiceCookiePath,
		},
		{
			title: "negative",
			spec:  "resources: {limits: {memory: -1Gi}}",
			field: "spec.resources.limits",
			msg:   msgQuantity,
		},
		{
			title: "a negative number",
			spec:  "resources: {requests: {cpu: -1}}",
			field: "spec.resources.requests",
			msg:   msgQuantity,
		},
		{
			title: "negative",
			spec:  "redis: {managed: {resources: {limits: {memory: -1}}}}",
			field: "spec.redis.managed.resources.limits",
			msg:   msgQuantity,
		},
		{
			title: "negative",
			spec:  "redis: {managed: {resources: {requests: {memory: -1}}}}",
			field: "spec.redis.managed.resources.requests",
			msg:   msgQuantity,
		},
		{
			title: "too small",
			spec:  "redis: {managed: {storage: {size: 1Mi}}}",
			field: "spec.redis.managed.storage.size",
			msg:   msgStorageSize,
		},
		{
			title: "a small number",
			spec:  "redis: {managed: {storage: {size: 5}}}",
			field: "spec.redis.managed.storage.size",
			msg:   msgStorageSize,
		},
		{
			spec:  "redis: {managed: {placement: {nodeSelector: {my disk: ssd}}}}",
			field: "spec.redis.managed.placement.nodeSelector",
			msg:   msgLabelName,
		},
		{
			title: "with a bad value",
			spec:  "redis: {managed: {placement: {nodeSelector: {disk: s s d}}}}",
			field: "spec.redis.managed.placement.nodeSelector",
			msg:   msgLabelValue,
		},
		{spec: "pod: {nodeSelector: {my disk: ssd}}", field: "spec.pod.nodeSelector", msg: msgLabelName},
		{
			title: "with a bad value",
			spec:  "pod: {nodeSelector: {disk: s s d}}",
			field: "spec.pod.nodeSelector",
			msg:   msgLabelValue,
		},
		{spec: "ingress: {cookie: {name: 'a;b'}}", field: "spec.ingress.cookie.name", msg: msgCookieName},
		{spec: "ingress: {cookie: {maxAge: 0s}}", field: "spec.ingress.cookie.maxAge", msg: msgMaxAge},
		{
			title: "left out with None",
			spec:  "ingress: {cookie: {sameSite: None}}",
			field: "spec.ingress.cookie.secure",
			msg:   msgSecureCookie,
		},
		{
			title: "false with None",
			spec:  "ingress: {cookie: {sameSite: None, secure: false}}",
			field: "spec.ingress.cookie.secure",
			msg:   msgSecureCookie,
		},

		{
			title: "with a port",
			spec:  "gatewayAPI: {parentRefs: [{name: a}], hostnames: ['ws.example.com:80']}",
			field: "spec.gatewayAPI.hostnames",
			msg:   msgHost,
		},
		{
			title: "with a query",
			spec:  "gatewayAPI: {parentRefs: [{name: a}], path: '/ws?a'}",
			field: "spec.gatewayAPI.path",
			msg:   msgPath,
		},
		{
			title: "unlike that of the Ingress",
			spec:  "{gatewayAPI: {parentRefs: [{name: a}], path: /live}, ingress: {}}",
			field: "spec.gatewayAPI.path",
			msg:   msgRoutePath,
		},
		{
			title: "unlike that of the Ingress",
			spec:  "{gatewayAPI: {parentRefs: [{name: a}], cookie: {name: pod}}, ingress: {}}",
			field: "spec.gatewayAPI.cookie.name",
			msg:   msgRouteCookie,
		},
		{
			title: "no cookie name",
			spec:  "gatewayAPI: {parentRefs: [{name: a}], cookie: {name: 'a;b'}}",
			field: "spec.gatewayAPI.cookie.name",
			msg:   msgCookieName,
		},
		{
			title: "too short",
			spec:  "gatewayAPI: {parentRefs: [{name: a}], cookie: {maxAge: 0s}}",
			field: "spec.gatewayAPI.cookie.maxAge",
			msg:   msgMaxAge,
		},

		{title: "of nothing", spec: "networkPolicy: {from: [{}]}", field: "spec.networkPolicy.from[0]", msg: msgPeer},
		{
			title: "of addresses and pods",
			spec:  "networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8}, podSelector: {}}]}",
			field: "spec.networkPolicy.metricsFrom[0]",
			msg:   msgPeer,
		},
		{
			title: "one address",
			spec:  "networkPolicy: {from: [{ipBlock: {cidr: 10.1.2.3}}]}",
			field: "spec.networkPolicy.from[0].ipBlock.cidr",
			msg:   msgCIDR,
		},
		{
			title: "one address",
			spec:  "networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.1.2.3}}]}",
			field: "spec.networkPolicy.metricsFrom[0].ipBlock.cidr",
			msg:   msgCIDR,
		},
		{
			title: "without one address",
			spec:  "networkPolicy: {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.3]}}]}",
			field: "spec.networkPolicy.from[0].ipBlock.except",
			msg:   msgNetwork,
		},
		{
			title: "without one address",
			spec:  "networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.2.3]}}]}",
			field: "spec.networkPolicy.metricsFrom[0].ipBlock.except",
			msg:   msgNetwork,
		},

		{
			title: "of the operator",
			spec:  "pod: {labels: {wsfleet.dev/cluster: other}}",
			field: "spec.pod.labels",
			msg:   msgOwnLabels,
		},
		{
			title: "of the selector",
			spec:  "pod: {labels: {app.kubernetes.io/component: other}}",
			field: "spec.pod.labels",
			msg:   msgOwnLabels,
		},
		{title: "with a space", spec: "pod: {labels: {my team: chat}}", field: "spec.pod.labels", msg: msgLabelName},
		{title: "with a bad value", spec: "pod: {labels: {team: my chat}}", field: "spec.pod.labels", msg: msgLabelValue},
		{spec: "pod: {annotations: {my team: v}}", field: "spec.pod.annotations", msg: msgAnnotationName},
		{spec: "service: {annotations: {my team: v}}", field: "spec.service.annotations", msg: msgAnnotationName},
		{spec: "ingress: {annotations: {my team: v}}", field: "spec.ingress.annotations", msg: msgAnnotationName},
		{
			title: "of the operator",
			spec:  "metadata: {labels: {app.kubernetes.io/name: other}}",
			field: "spec.metadata.labels",
			msg:   msgOwnLabels,
		},
		{
			title: "with a space",
			spec:  "metadata: {labels: {my team: chat}}",
			field: "spec.metadata.labels",
			msg:   msgLabelName,
		},
		{
			title: "with a bad value",
			spec:  "metadata: {labels: {team: -chat}}",
			field: "spec.metadata.labels",
			msg:   msgLabelValue,
		},
		{
			spec:  "metadata: {annotations: {wsfleet.dev/x: v}}",
			field: "spec.metadata.annotations",
			msg:   msgOwnAnnotations,
		},
		{
			title: "with a space",
			spec:  "metadata: {annotations: {my team: v}}",
			field: "spec.metadata.annotations",
			msg:   msgAnnotationName,
		},
		{spec: "pod: {annotations: {wsfleet.dev/x: v}}", field: "spec.pod.annotations", msg: msgOwnAnnotations},
		{spec: "pod: {env: [{name: WSFLEET_BROKER, value: memory}]}", field: "spec.pod.env", msg: msgOwnEnv},
	}
}

// changesRefused returns a change for every CEL rule that compares the new object with the old one.
func changesRefused() []change {
	return []change{
		{
			title: "mode",
			from:  "{replicas: 2, redis: {external: {addresses: ['r:6379']}}}",
			to:    "{replicas: 2, redis: {external: {mode: Cluster, addresses: ['r:6379']}}}",
			field: "spec.redis.external.mode",
			msg:   msgModeKept,
		},
		{
			title: "mode while the fleet is scaled to zero",
			from:  "{replicas: 2, redis: {external: {addresses: ['r:6379']}}}",
			to:    "{replicas: 0, redis: {external: {mode: Cluster, addresses: ['r:6379']}}}",
			field: "spec.redis.external.mode",
			msg:   msgModeKept,
		},
		{
			title: "mode while the fleet is scaled up",
			from:  "{replicas: 0, redis: {external: {addresses: ['r:6379']}}}",
			to:    "{replicas: 2, redis: {external: {mode: Cluster, addresses: ['r:6379']}}}",
			field: "spec.redis.external.mode",
			msg:   msgModeKept,
		},
		{
			title: "managed by default to external",
			from:  "{replicas: 1}",
			to:    "{replicas: 1, redis: {external: {addresses: ['r:6379']}}}",
			field: "spec.redis",
			msg:   msgRedisKept,
		},
		{
			title: "managed to external of an autoscaled fleet",
			from:  "{replicas: 3, redis: {managed: {}}, autoscaling: {maxReplicas: 5}}",
			to:    "{replicas: 3, redis: {external: {addresses: ['r:6379']}}, autoscaling: {maxReplicas: 5}}",
			field: "spec.redis",
			msg:   msgRedisKept,
		},
		{
			title: "external to managed",
			from:  "{replicas: 2, redis: {external: {addresses: ['r:6379']}}}",
			to:    "{replicas: 2, redis: {managed: {}}}",
			field: "spec.redis",
			msg:   msgRedisKept,
		},
		{
			title: "external removed", from: "{replicas: 2, redis: {external: {addresses: ['r:6379']}}}", to: "{replicas: 2}",
			field: "spec.redis", msg: msgRedisKept,
		},
		{
			title: "no Redis and one gateway at once",
			from:  "{replicas: 2, redis: {managed: {}}}",
			to:    "{replicas: 1, redis: {}}",
			field: "spec.redis",
			msg:   msgRedisNeeded,
		},
		{
			title: "loadBalancerClass",
			from:  "service: {type: LoadBalancer, loadBalancerClass: a.example/b}",
			to:    "service: {type: LoadBalancer, loadBalancerClass: a.example/c}",
			field: "spec.service.loadBalancerClass",
			msg:   msgBalancerKept,
		},
		{
			title: "size lowered",
			from:  "redis: {managed: {storage: {size: 2Gi}}}",
			to:    "redis: {managed: {storage: {size: 1Gi}}}",
			field: "spec.redis.managed.storage.size",
			msg:   msgStorageShrunk,
		},
		{
			title: "class of the volume",
			from:  "redis: {managed: {storage: {size: 1Gi}}}",
			to:    "redis: {managed: {storage: {size: 1Gi, storageClassName: fast}}}",
			field: "spec.redis.managed.storage.storageClassName",
			msg:   msgStorageClass,
		},
		{
			title: "storage added",
			from:  "{replicas: 2, redis: {managed: {}}}",
			to:    "{replicas: 2, redis: {managed: {storage: {size: 1Gi}}}}",
			field: "spec.redis.managed.storage",
			msg:   msgStorageKept,
		},
		{
			title: "storage removed with redis",
			from:  "{replicas: 2, redis: {managed: {storage: {size: 1Gi}}}}",
			to:    "replicas: 2",
			field: "spec.redis.managed.storage",
			msg:   msgStorageKept,
		},
		{
			title: "first family",
			from:  "service: {ipFamilies: [IPv4]}",
			to:    "service: {ipFamilies: [IPv6, IPv4], ipFamilyPolicy: PreferDualStack}",
			field: "spec.service.ipFamilies",
			msg:   msgFamilyKept,
		},
		{
			title: "loadBalancerClass removed", from: "service: {type: LoadBalancer, loadBalancerClass: a.example/b}",
			to: "service: {type: LoadBalancer}", field: "spec.service.loadBalancerClass", msg: msgBalancerKept,
		},
	}
}

func TestAPIRulesRefuse(t *testing.T) {
	t.Parallel()
	testRefused(t, refusedByRule())
}

// A rule that no manifest breaks may have no message, or a wrong one.
func TestAPIRulesHaveCases(t *testing.T) {
	t.Parallel()
	type rule struct{ field, msg string }
	cases := map[rule]bool{}
	for _, r := range slices.Concat(refusedByRule(), refusedAsUnreadable()) {
		cases[rule{schemaPath(r.field), r.msg}] = true
	}
	for _, c := range changesRefused() {
		cases[rule{schemaPath(c.field), c.msg}] = true
	}
	rules := 0
	walkSchema(readSchema(t), func(path string, _ bool, schema *apiextensionsv1.JSONSchemaProps) {
		for _, validation := range schema.XValidations {
			rules++
			field := path + validation.FieldPath
			assert.True(t, cases[rule{field, validation.Message}], "no manifest breaks the rule %s: %s", field,
				validation.Message)
		}
	})
	assert.NotZero(t, rules)
}
