package integration

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// refusedBySchema returns a manifest for every limit of the schema that is this API's own. The messages are the API
// server's wording of the limits.
func refusedBySchema() []refusal {
	return slices.Concat(
		numberBelow("spec.replicas", "replicas: %s", -1, 0),
		numberAbove("spec.replicas", "replicas: %s", 10_001, 10_000),
		numberBelow("spec.gateway.maxConnections", "gateway: {maxConnections: %s}", 0, 1),
		numberAbove("spec.gateway.maxConnections", "gateway: {maxConnections: %s}", 10_000_001, 10_000_000),
		numberBelow("spec.gateway.maxConnectionsPerIP", "gateway: {maxConnectionsPerIP: %s}", -1, 0),
		numberAbove("spec.gateway.maxConnectionsPerIP", "gateway: {maxConnectionsPerIP: %s}", 10_000_001, 10_000_000),
		numberBelow("spec.gateway.maxConnectionsPerUser", "gateway: {maxConnectionsPerUser: %s}", -1, 0),
		numberAbove("spec.gateway.maxConnectionsPerUser", "gateway: {maxConnectionsPerUser: %s}", 10_000_001, 10_000_000),
		numberBelow("spec.gateway.channels[0].history.size",
			"gateway: {channels: [{pattern: a, history: {ttl: 1m, size: %s}}]}", 0, 1),
		numberAbove("spec.gateway.channels[0].history.size",
			"gateway: {channels: [{pattern: a, history: {ttl: 1m, size: %s}}]}", 100_001, 100_000),
		numberBelow("spec.gateway.maxMessageBytes", "gateway: {maxMessageBytes: %s}", 0, 1),
		numberAbove("spec.gateway.maxMessageBytes", "gateway: {maxMessageBytes: %s}", 67_108_865, 67_108_864),
		numberBelow("spec.gateway.maxQueuedBytes", "gateway: {maxQueuedBytes: %s}", 0, 1),
		numberAbove("spec.gateway.maxQueuedBytes", "gateway: {maxQueuedBytes: %s}", 1_073_741_825, 1_073_741_824),
		numberBelow("spec.gateway.connectRate", "gateway: {connectRate: %s}", -1, 0),
		numberAbove("spec.gateway.connectRate", "gateway: {connectRate: %s}", 1_000_001, 1_000_000),
		numberBelow("spec.gateway.messageRate", "gateway: {messageRate: %s}", -1, 0),
		numberAbove("spec.gateway.messageRate", "gateway: {messageRate: %s}", 1_000_001, 1_000_000),
		numberBelow("spec.gateway.maxTotalQueuedBytes", "gateway: {maxTotalQueuedBytes: %s}", 0, 1),
		numberAbove("spec.gateway.maxTotalQueuedBytes", "gateway: {maxTotalQueuedBytes: %s}", 1_099_511_627_777,
			1_099_511_627_776),
		numberBelow("spec.gateway.maxChannelsPerConnection", "gateway: {maxChannelsPerConnection: %s}", 0, 1),
		numberAbove("spec.gateway.maxChannelsPerConnection", "gateway: {maxChannelsPerConnection: %s}", 100_001, 100_000),
		numberBelow("spec.drain.maxClosesPerSecond", "drain: {maxClosesPerSecond: %s}", -1, 0),
		numberBelow("spec.drain.closeCode", "drain: {closeCode: %s}", 1000, 1001),
		numberAbove("spec.drain.closeCode", "drain: {closeCode: %s}", 4300, 4299),
		numberAbove("spec.drain.maxClosesPerSecond", "drain: {maxClosesPerSecond: %s}", 1_000_001, 1_000_000),
		numberBelow("spec.rollout.maxReconnectsPerSecond", "rollout: {maxReconnectsPerSecond: %s}", -1, 0),
		numberAbove("spec.rollout.maxReconnectsPerSecond", "rollout: {maxReconnectsPerSecond: %s}", 1_000_001, 1_000_000),
		numberBelow("spec.rollout.minReadySeconds", "rollout: {minReadySeconds: %s}", -1, 0),
		numberAbove("spec.rollout.minReadySeconds", "rollout: {minReadySeconds: %s}", 3601, 3600),
		numberBelow("spec.rebalance.tolerancePercent", "rebalance: {tolerancePercent: %s}", 4, 5),
		numberAbove("spec.rebalance.tolerancePercent", "rebalance: {tolerancePercent: %s}", 501, 500),
		numberBelow("spec.autoscaling.minReplicas", "autoscaling: {maxReplicas: 3, minReplicas: %s}", -1, 0),
		numberAbove("spec.autoscaling.minReplicas", "autoscaling: {maxReplicas: 3, minReplicas: %s}", 10_001, 10_000),
		numberBelow("spec.autoscaling.maxReplicas", "autoscaling: {maxReplicas: %s}", 0, 1),
		numberAbove("spec.autoscaling.maxReplicas", "autoscaling: {maxReplicas: %s}", 10_001, 10_000),
		numberBelow("spec.autoscaling.targetConnectionsPerPod", "autoscaling: {maxReplicas: 3, targetConnectionsPerPod: %s}",
			0, 1),
		numberAbove("spec.autoscaling.targetConnectionsPerPod", "autoscaling: {maxReplicas: 3, targetConnectionsPerPod: %s}",
			10_000_001, 10_000_000),
		numberBelow("spec.autoscaling.targetUtilizationPercent",
			"autoscaling: {maxReplicas: 3, targetUtilizationPercent: %s}", 0, 1),
		numberAbove("spec.autoscaling.targetUtilizationPercent",
			"autoscaling: {maxReplicas: 3, targetUtilizationPercent: %s}", 101, 100),
		numberBelow("spec.autoscaling.maxUtilizationPercent", "autoscaling: {maxReplicas: 3, maxUtilizationPercent: %s}", 0,
			1),
		numberAbove("spec.autoscaling.maxUtilizationPercent", "autoscaling: {maxReplicas: 3, maxUtilizationPercent: %s}",
			101, 100),
		numberBelow("spec.autoscaling.cpuUtilizationPercent", "autoscaling: {maxReplicas: 3, cpuUtilizationPercent: %s}", 0,
			1),
		numberAbove("spec.autoscaling.cpuUtilizationPercent", "autoscaling: {maxReplicas: 3, cpuUtilizationPercent: %s}",
			1001, 1000),
		numberBelow("spec.service.clientIPTimeoutSeconds", "service: {clientIPTimeoutSeconds: %s}", 0, 1),
		numberAbove("spec.service.clientIPTimeoutSeconds", "service: {clientIPTimeoutSeconds: %s}", 86_401, 86_400),
		numberBelow("spec.service.nodePort", "service: {type: NodePort, nodePort: %s}", 0, 1),
		numberAbove("spec.service.nodePort", "service: {type: NodePort, nodePort: %s}", 65_536, 65_535),

		textEmpty("spec.autoscaling.existingMetric.name", "autoscaling: {maxReplicas: 3, existingMetric: {name: %s}}"),
		textLong("spec.autoscaling.existingMetric.name", "autoscaling: {maxReplicas: 3, existingMetric: {name: %s}}", 253),
		textEmpty("spec.image", "image: %s"),
		textLong("spec.image", "image: %s", 512),
		textEmpty("spec.imagePullSecrets[0].name", "imagePullSecrets: [{name: %s}]"),
		textLong("spec.imagePullSecrets[0].name", "imagePullSecrets: [{name: %s}]", 253),
		textLong("spec.pod.priorityClassName", "pod: {priorityClassName: %s}", 253),
		textLong("spec.gateway.handshakeTimeout", "gateway: {handshakeTimeout: %s}", 16),
		textLong("spec.gateway.refusalDelay", "gateway: {refusalDelay: %s}", 16),
		textLong("spec.gateway.connectTimeout", "gateway: {connectTimeout: %s}", 16),
		textEmpty("spec.gateway.channels[0].pattern", "gateway: {channels: [{pattern: %s}]}"),
		textLong("spec.gateway.channels[0].pattern", "gateway: {channels: [{pattern: %s}]}", 255),
		textEmpty("spec.gateway.tls.secretName", "gateway: {tls: {secretName: %s}}"),
		textLong("spec.gateway.tls.secretName", "gateway: {tls: {secretName: %s}}", 253),
		textLong("spec.gateway.pingInterval", "gateway: {pingInterval: %s}", 16),
		textLong("spec.gateway.pongTimeout", "gateway: {pongTimeout: %s}", 16),
		textLong("spec.gateway.allowedOrigins[0]", "gateway: {allowedOrigins: [%s]}", 300),
		textLong("spec.gateway.trustedProxies[0]", "gateway: {trustedProxies: [%s]}", 64),
		textEmpty("spec.gateway.affinityCookie.name", "gateway: {affinityCookie: {name: %s}}"),
		textLong("spec.gateway.affinityCookie.name", "gateway: {affinityCookie: {name: %s}}", 64),
		textLong("spec.gateway.affinityCookie.path", "gateway: {affinityCookie: {name: a, path: %s}}", 256),
		textLong("spec.gateway.affinityCookie.value", "gateway: {affinityCookie: {name: a, value: %s}}", 64),
		textLong("spec.gateway.httpIdleTimeout", "gateway: {httpIdleTimeout: %s}", 16),
		textEmpty("spec.gateway.auth.apiKeySecretRef.name", "gateway: {auth: {apiKeySecretRef: {name: %s}}}"),
		textLong("spec.gateway.auth.apiKeySecretRef.name", "gateway: {auth: {apiKeySecretRef: {name: %s}}}", 253),
		textEmpty("spec.gateway.auth.apiKeySecretRef.key", "gateway: {auth: {apiKeySecretRef: {name: s, key: %s}}}"),
		textLong("spec.gateway.auth.apiKeySecretRef.key", "gateway: {auth: {apiKeySecretRef: {name: s, key: %s}}}", 253),
		textEmpty("spec.gateway.auth.previousAPIKeySecretRef.name",
			"gateway: {auth: {apiKeySecretRef: {name: s}, previousAPIKeySecretRef: {name: %s}}}"),
		textLong("spec.gateway.auth.previousAPIKeySecretRef.name",
			"gateway: {auth: {apiKeySecretRef: {name: s}, previousAPIKeySecretRef: {name: %s}}}", 253),
		textEmpty("spec.gateway.auth.previousAPIKeySecretRef.key",
			"gateway: {auth: {apiKeySecretRef: {name: s}, previousAPIKeySecretRef: {name: s, key: %s}}}"),
		textLong("spec.gateway.auth.previousAPIKeySecretRef.key",
			"gateway: {auth: {apiKeySecretRef: {name: s}, previousAPIKeySecretRef: {name: s, key: %s}}}", 253),
		textEmpty("spec.gateway.auth.jwt.secretRef.name", "gateway: {auth: {jwt: {secretRef: {name: %s}}}}"),
		textLong("spec.gateway.auth.jwt.secretRef.name", "gateway: {auth: {jwt: {secretRef: {name: %s}}}}", 253),
		textEmpty("spec.gateway.auth.jwt.secretRef.key", "gateway: {auth: {jwt: {secretRef: {name: s, key: %s}}}}"),
		textLong("spec.gateway.auth.jwt.secretRef.key", "gateway: {auth: {jwt: {secretRef: {name: s, key: %s}}}}", 253),
		textEmpty("spec.gateway.auth.jwt.previousSecretRef.name",
			"gateway: {auth: {jwt: {secretRef: {name: s}, previousSecretRef: {name: %s}}}}"),
		textLong("spec.gateway.auth.jwt.previousSecretRef.name",
			"gateway: {auth: {jwt: {secretRef: {name: s}, previousSecretRef: {name: %s}}}}", 253),
		textEmpty("spec.gateway.auth.jwt.previousSecretRef.key",
			"gateway: {auth: {jwt: {secretRef: {name: s}, previousSecretRef: {name: s, key: %s}}}}"),
		textLong("spec.gateway.auth.jwt.previousSecretRef.key",
			"gateway: {auth: {jwt: {secretRef: {name: s}, previousSecretRef: {name: s, key: %s}}}}", 253),
		textEmpty("spec.gateway.hooks.secretRef.name", "gateway: {hooks: {secretRef: {name: %s}}}"),
		textLong("spec.gateway.hooks.secretRef.name", "gateway: {hooks: {secretRef: {name: %s}}}", 253),
		textEmpty("spec.gateway.hooks.secretRef.key", "gateway: {hooks: {secretRef: {name: s, key: %s}}}"),
		textLong("spec.gateway.hooks.secretRef.key", "gateway: {hooks: {secretRef: {name: s, key: %s}}}", 253),
		textEmpty("spec.gateway.auth.jwt.issuer", "gateway: {auth: {jwt: {jwksURL: 'https://a', issuer: %s}}}"),
		textLong("spec.gateway.auth.jwt.issuer", "gateway: {auth: {jwt: {jwksURL: 'https://a', issuer: %s}}}", 512),
		textEmpty("spec.gateway.auth.jwt.audience", "gateway: {auth: {jwt: {jwksURL: 'https://a', audience: %s}}}"),
		textLong("spec.gateway.auth.jwt.audience", "gateway: {auth: {jwt: {jwksURL: 'https://a', audience: %s}}}", 512),
		textEmpty("spec.gateway.auth.jwt.jwksURL", "gateway: {auth: {jwt: {jwksURL: %s}}}"),
		textLong("spec.gateway.auth.jwt.jwksURL", "gateway: {auth: {jwt: {jwksURL: %s}}}", 1024),
		textEmpty("spec.gateway.hooks.connect.url", "gateway: {hooks: {connect: {url: %s}}}"),
		textLong("spec.gateway.hooks.connect.url", "gateway: {hooks: {connect: {url: %s}}}", 1024),
		textEmpty("spec.gateway.hooks.subscribe.url", "gateway: {hooks: {subscribe: {url: %s}}}"),
		textLong("spec.gateway.hooks.subscribe.url", "gateway: {hooks: {subscribe: {url: %s}}}", 1024),
		textEmpty("spec.gateway.hooks.publish.url", "gateway: {hooks: {publish: {url: %s}}}"),
		textLong("spec.gateway.hooks.publish.url", "gateway: {hooks: {publish: {url: %s}}}", 1024),
		textEmpty("spec.gateway.hooks.rpc.url", "gateway: {hooks: {rpc: {url: %s}}}"),
		textLong("spec.gateway.hooks.rpc.url", "gateway: {hooks: {rpc: {url: %s}}}", 1024),
		textEmpty("spec.gateway.hooks.refresh.url", "gateway: {hooks: {refresh: {url: %s}}}"),
		textLong("spec.gateway.hooks.refresh.url", "gateway: {hooks: {refresh: {url: %s}}}", 1024),
		textEmpty("spec.gateway.hooks.subRefresh.url", "gateway: {hooks: {subRefresh: {url: %s}}}"),
		textLong("spec.gateway.hooks.subRefresh.url", "gateway: {hooks: {subRefresh: {url: %s}}}", 1024),
		textEmpty("spec.gateway.webhooks.url", "gateway: {webhooks: {url: %s}}"),
		textLong("spec.gateway.webhooks.url", "gateway: {webhooks: {url: %s}}", 1024),
		textLong("spec.gateway.channels[0].history.ttl", "gateway: {channels: [{pattern: a, history: {size: 1, ttl: %s}}]}",
			16),
		textLong("spec.gateway.presence.ttl", "gateway: {presence: {ttl: %s}}", 16),
		textLong("spec.gateway.presence.grace", "gateway: {presence: {grace: %s}}", 16),
		textLong("spec.gateway.hooks.timeout", "gateway: {hooks: {timeout: %s}}", 16),
		textLong("spec.gateway.hooks.forwardHeaders[0]", "gateway: {hooks: {forwardHeaders: [%s]}}", 128),
		textLong("spec.redis.external.addresses[0]", "redis: {external: {addresses: [%s]}}", 300),
		textLong("spec.redis.external.masterName", "redis: {external: {mode: Sentinel, addresses: ['s:1'], masterName: %s}}",
			253),
		textEmpty("spec.redis.external.credentialsSecretRef.name",
			"redis: {external: {addresses: ['r:1'], credentialsSecretRef: {name: %s}}}"),
		textLong("spec.redis.external.credentialsSecretRef.name",
			"redis: {external: {addresses: ['r:1'], credentialsSecretRef: {name: %s}}}", 253),
		textLong("spec.drain.timeout", "drain: {timeout: %s}", 16),
		textLong("spec.drain.propagationDelay", "drain: {propagationDelay: %s}", 16),
		textEmpty("spec.service.loadBalancerClass", "service: {type: LoadBalancer, loadBalancerClass: %s}"),
		textLong("spec.service.loadBalancerClass", "service: {type: LoadBalancer, loadBalancerClass: %s}", 253),
		textLong("spec.service.loadBalancerSourceRanges[0]", "service: {type: LoadBalancer, loadBalancerSourceRanges: [%s]}",
			64),
		textEmpty("spec.redis.managed.storage.storageClassName",
			"redis: {managed: {storage: {size: 1Gi, storageClassName: %s}}}"),
		textLong("spec.redis.managed.storage.storageClassName",
			"redis: {managed: {storage: {size: 1Gi, storageClassName: %s}}}", 253),
		textLong("spec.redis.managed.placement.priorityClassName",
			"redis: {managed: {placement: {priorityClassName: %s}}}", 253),
		textEmpty("spec.ingress.className", "ingress: {className: %s}"),
		textLong("spec.ingress.className", "ingress: {className: %s}", 253),
		textLong("spec.ingress.hosts[0]", "ingress: {hosts: [%s]}", 253),
		textLong("spec.ingress.path", "ingress: {path: %s}", 256),
		textLong("spec.ingress.idleTimeout", "ingress: {idleTimeout: %s}", 16),
		textLong("spec.ingress.tls[0].secretName", "ingress: {tls: [{secretName: %s}]}", 253),
		textLong("spec.ingress.tls[0].hosts[0]", "ingress: {tls: [{hosts: [%s]}]}", 253),
		textLong("spec.ingress.cookie.name", "ingress: {cookie: {name: %s}}", 64),
		textLong("spec.ingress.cookie.maxAge", "ingress: {cookie: {maxAge: %s}}", 16),

		notInList("spec.imagePullPolicy", "imagePullPolicy: %s", "Always", "IfNotPresent", "Never"),
		notInList("spec.gateway.connectionsPerUserPolicy", "gateway: {connectionsPerUserPolicy: %s}", "CloseOldest",
			"Refuse"),
		notInList("spec.gateway.channels[0].slowConsumer", "gateway: {channels: [{pattern: a, slowConsumer: %s}]}",
			"Disconnect", "DropOldest", "LatestOnly"),
		notInList("spec.gateway.channels[0].recoveryMode",
			"gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, recovery: true, recoveryMode: %s}]}", "Stream",
			"Cache"),
		notInList("spec.gateway.channels[0].readPresence",
			"gateway: {channels: [{pattern: a, presence: true, readPresence: %s}]}", "Subscribers", "Anybody"),
		notInList("spec.gateway.channels[0].readHistory",
			"gateway: {channels: [{pattern: a, history: {size: 1, ttl: 1m}, readHistory: %s}]}", "Subscribers", "Anybody"),
		notInList("spec.gateway.channels[0].publish", "gateway: {channels: [{pattern: a, publish: %s}]}", "Nobody",
			"Subscribers", "Anybody"),
		notInList("spec.gateway.channels[0].subscribe", "gateway: {channels: [{pattern: a, subscribe: %s}]}", "Anybody",
			"Authenticated", "Token"),
		notInList("spec.gateway.proxyProtocol", "gateway: {trustedProxies: [10.0.0.0/8], proxyProtocol: %s}", "Disabled",
			"Optional", "Required"),
		notInList("spec.gateway.hooks.connect.whenDown", "gateway: {hooks: {connect: {url: 'http://a', whenDown: %s}}}",
			"Refuse", "Allow"),
		notInList("spec.gateway.hooks.subscribe.whenDown", "gateway: {hooks: {subscribe: {url: 'http://a', whenDown: %s}}}",
			"Refuse", "Allow"),
		notInList("spec.gateway.hooks.publish.whenDown", "gateway: {hooks: {publish: {url: 'http://a', whenDown: %s}}}",
			"Refuse", "Allow"),
		notInList("spec.gateway.webhooks.events[0]", "gateway: {webhooks: {url: 'http://a', events: [%s]}}", "connected",
			"disconnected", "occupied", "vacated"),
		notInList("spec.redis.external.mode", "redis: {external: {addresses: ['r:1'], mode: %s}}", "Standalone", "Sentinel",
			"Cluster"),
		notInList("spec.service.type", "service: {type: %s}", "ClusterIP", "NodePort", "LoadBalancer"),
		notInList("spec.service.externalTrafficPolicy", "service: {type: NodePort, externalTrafficPolicy: %s}", "Cluster",
			"Local"),
		notInList("spec.service.trafficDistribution", "service: {trafficDistribution: %s}", "PreferSameZone",
			"PreferSameNode"),
		notInList("spec.service.ipFamilyPolicy", "service: {ipFamilyPolicy: %s}", "SingleStack", "PreferDualStack",
			"RequireDualStack"),
		notInList("spec.service.ipFamilies[0]", "service: {ipFamilies: [%s]}", "IPv4", "IPv6"),
		notInList("spec.autoscaling.metrics", "autoscaling: {maxReplicas: 3, metrics: %s}", "Auto", "BuiltIn", "Existing"),
		notInList("spec.autoscaling.existingMetric.type", "autoscaling: {maxReplicas: 3, existingMetric: {type: %s}}",
			"Pods", "Object"),
		notInList("spec.rollout.refusalPolicy", "rollout: {refusalPolicy: %s}", "Pause", "Continue"),
		notInList("spec.drain.scaleIn", "drain: {scaleIn: %s}", "PreDrain", "OnTermination"),
		notInList("spec.disruption.evictionSafe", "disruption: {evictionSafe: %s}", "Always", "OnUpgrade", "Never"),
		notInList("spec.ingress.profile", "ingress: {profile: %s}", "Auto", "nginx", "traefik", "haproxy", "haproxy-ingress",
			"alb", "f5-nginx", "none"),
		notInList("spec.ingress.cookie.sameSite", "ingress: {cookie: {sameSite: %s}}", "Strict", "Lax", "None"),

		tooMany("spec.imagePullSecrets", "imagePullSecrets: [%s]", "{name: s%d}", 16),
		tooMany("spec.gateway.allowedOrigins", "gateway: {allowedOrigins: [%s]}", "'https://h%d'", 256),
		tooMany("spec.gateway.channels", "gateway: {channels: [%s]}", "{pattern: p%d}", 64),
		tooMany("spec.gateway.hooks.forwardHeaders", "gateway: {hooks: {forwardHeaders: [%s]}}", "H%d", 32),
		tooMany("spec.gateway.webhooks.events", "gateway: {webhooks: {url: 'http://a', events: [%s]}}", "e%d", 4),
		tooMany("spec.gateway.trustedProxies", "gateway: {trustedProxies: [%s]}", "10.0.%d.0/24", 64),
		tooMany("spec.pod.env", "pod: {env: [%s]}", "{name: E%d}", 128),
		tooMany("spec.redis.external.addresses", "redis: {external: {mode: Cluster, addresses: [%s]}}", "'r%d:1'", 32),
		tooMany("spec.service.loadBalancerSourceRanges", "service: {type: LoadBalancer, loadBalancerSourceRanges: [%s]}",
			"10.0.%d.0/24", 64),
		tooMany("spec.service.ipFamilies", "service: {ipFamilyPolicy: PreferDualStack, ipFamilies: [%s]}", "IPv%d", 2),
		tooMany("spec.ingress.hosts", "ingress: {hosts: [%s]}", "h%d", 64),
		tooMany("spec.ingress.tls", "ingress: {tls: [%s]}", "{secretName: s%d}", 64),
		tooMany("spec.ingress.tls[0].hosts", "ingress: {tls: [{hosts: [%s]}]}", "h%d", 64),
		tooMany("spec.metadata.labels", "metadata: {labels: {%s}}", "l%d: v", 64),
		tooMany("spec.metadata.annotations", "metadata: {annotations: {%s}}", "a%d: v", 64),
		tooMany("spec.pod.labels", "pod: {labels: {%s}}", "l%d: v", 64),
		tooMany("spec.pod.nodeSelector", "pod: {nodeSelector: {%s}}", "l%d: v", 64),
		tooMany("spec.redis.managed.placement.nodeSelector", "redis: {managed: {placement: {nodeSelector: {%s}}}}",
			"l%d: v", 64),
		tooMany("spec.pod.annotations", "pod: {annotations: {%s}}", "a%d: v", 64),
		tooMany("spec.gatewayAPI.parentRefs", "gatewayAPI: {parentRefs: [%s]}", "{name: p%d}", 16),
		tooMany("spec.gatewayAPI.hostnames", "gatewayAPI: {parentRefs: [{name: a}], hostnames: [%s]}", "h%d", 16),
		textLong("spec.gatewayAPI.hostnames[0]", "gatewayAPI: {parentRefs: [{name: a}], hostnames: [%s]}", 253),
		textLong("spec.gatewayAPI.path", "gatewayAPI: {parentRefs: [{name: a}], path: %s}", 256),
		textEmpty("spec.gatewayAPI.parentRefs[0].name", "gatewayAPI: {parentRefs: [{name: %s}]}"),
		textLong("spec.gatewayAPI.parentRefs[0].name", "gatewayAPI: {parentRefs: [{name: %s}]}", 253),
		textEmpty("spec.gatewayAPI.parentRefs[0].namespace", "gatewayAPI: {parentRefs: [{name: a, namespace: %s}]}"),
		textLong("spec.gatewayAPI.parentRefs[0].namespace", "gatewayAPI: {parentRefs: [{name: a, namespace: %s}]}", 63),
		textEmpty("spec.gatewayAPI.parentRefs[0].sectionName", "gatewayAPI: {parentRefs: [{name: a, sectionName: %s}]}"),
		textLong("spec.gatewayAPI.parentRefs[0].sectionName", "gatewayAPI: {parentRefs: [{name: a, sectionName: %s}]}", 253),
		numberBelow("spec.gatewayAPI.parentRefs[0].port", "gatewayAPI: {parentRefs: [{name: a, port: %s}]}", 0, 1),
		numberAbove("spec.gatewayAPI.parentRefs[0].port", "gatewayAPI: {parentRefs: [{name: a, port: %s}]}", 65_536, 65_535),
		textLong("spec.gatewayAPI.cookie.name", "gatewayAPI: {parentRefs: [{name: a}], cookie: {name: %s}}", 64),
		textLong("spec.gatewayAPI.cookie.maxAge", "gatewayAPI: {parentRefs: [{name: a}], cookie: {maxAge: %s}}", 16),
		notInList("spec.gatewayAPI.sessionPersistence", "gatewayAPI: {parentRefs: [{name: a}], sessionPersistence: %s}",
			"Auto", "Route", "Backend", "Off"),
		twice("spec.gatewayAPI.hostnames", "gatewayAPI: {parentRefs: [{name: a}], hostnames: [h, h]}"),
		notInList("spec.monitoring.podMonitor", "monitoring: {podMonitor: %s}", "Auto", "Enabled", "Disabled"),
		notInList("spec.monitoring.rules", "monitoring: {rules: %s}", "Auto", "Enabled", "Disabled"),
		tooMany("spec.networkPolicy.from", "networkPolicy: {from: [%s]}", "{podSelector: {matchLabels: {a: b%d}}}", 32),
		tooMany("spec.networkPolicy.metricsFrom", "networkPolicy: {metricsFrom: [%s]}",
			"{podSelector: {matchLabels: {a: b%d}}}", 32),
		tooMany("spec.networkPolicy.from[0].ipBlock.except",
			"networkPolicy: {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [%s]}}]}", "10.0.%d.0/24", 32),
		textEmpty("spec.networkPolicy.from[0].ipBlock.cidr", "networkPolicy: {from: [{ipBlock: {cidr: %s}}]}"),
		textLong("spec.networkPolicy.from[0].ipBlock.cidr", "networkPolicy: {from: [{ipBlock: {cidr: %s}}]}", 64),
		textLong("spec.networkPolicy.from[0].ipBlock.except[0]",
			"networkPolicy: {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [%s]}}]}", 64),
		tooMany("spec.networkPolicy.metricsFrom[0].ipBlock.except",
			"networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [%s]}}]}", "10.0.%d.0/24", 32),
		textEmpty("spec.networkPolicy.metricsFrom[0].ipBlock.cidr", "networkPolicy: {metricsFrom: [{ipBlock: {cidr: %s}}]}"),
		textLong("spec.networkPolicy.metricsFrom[0].ipBlock.cidr", "networkPolicy: {metricsFrom: [{ipBlock: {cidr: %s}}]}",
			64),
		textLong("spec.networkPolicy.metricsFrom[0].ipBlock.except[0]",
			"networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [%s]}}]}", 64),
		tooMany("spec.service.annotations", "service: {annotations: {%s}}", "a%d: v", 64),
		tooMany("spec.ingress.annotations", "ingress: {annotations: {%s}}", "a%d: v", 64),

		tooMany("spec.resources.limits", "resources: {limits: {%s}}", "example.com/r%d: 1", 8),
		tooMany("spec.resources.requests", "resources: {requests: {%s}}", "example.com/r%d: 1", 8),
		tooMany("spec.redis.managed.resources.limits", "redis: {managed: {resources: {limits: {%s}}}}", "example.com/r%d: 1",
			8),
		tooMany("spec.redis.managed.resources.requests", "redis: {managed: {resources: {requests: {%s}}}}",
			"example.com/r%d: 1", 8),

		twice("spec.pod.topologySpreadConstraints",
			"pod: {topologySpreadConstraints: [{maxSkew: 1, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}, {maxSkew: "+
				"2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]}"),
		twice("spec.imagePullSecrets", "imagePullSecrets: [{name: s}, {name: s}]"),
		twice("spec.pod.env", "pod: {env: [{name: E}, {name: E}]}"),
		twice("spec.gateway.allowedOrigins", "gateway: {allowedOrigins: ['https://h', 'https://h']}"),
		twice("spec.gateway.hooks.forwardHeaders", "gateway: {hooks: {forwardHeaders: [Cookie, Cookie]}}"),
		twice("spec.gateway.webhooks.events", "gateway: {webhooks: {url: 'http://a', events: [occupied, occupied]}}"),
		twice("spec.gateway.trustedProxies", "gateway: {trustedProxies: [10.0.0.0/8, 10.0.0.0/8]}"),
		twice("spec.networkPolicy.from[0].ipBlock.except",
			"networkPolicy: {from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.0.0/16]}}]}"),
		twice("spec.networkPolicy.metricsFrom[0].ipBlock.except",
			"networkPolicy: {metricsFrom: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16, 10.1.0.0/16]}}]}"),
		twice("spec.redis.external.addresses", "redis: {external: {mode: Cluster, addresses: ['r:1', 'r:1']}}"),
		twice("spec.service.loadBalancerSourceRanges",
			"service: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.0/8, 10.0.0.0/8]}"),
		twice("spec.ingress.hosts", "ingress: {hosts: [h, h]}"),
		twice("spec.ingress.tls[0].hosts", "ingress: {tls: [{hosts: [h, h]}]}"),

		[]refusal{
			{spec: "redis: {external: {addresses: []}}", field: "spec.redis.external.addresses", msg: msgTooFew(1)},
			{spec: "service: {ipFamilies: []}", field: "spec.service.ipFamilies", msg: msgTooFew(1)},
			{spec: "redis: {managed: {storage: {}}}", field: "spec.redis.managed.storage.size", msg: msgRequired},
			{spec: "redis: {external: {}}", field: "spec.redis.external.addresses", msg: msgRequired},
			{
				spec:  "redis: {external: {addresses: ['r:1'], credentialsSecretRef: {}}}",
				field: "spec.redis.external.credentialsSecretRef.name",
				msg:   msgRequired,
			},
			{
				spec:  "networkPolicy: {from: [{ipBlock: {}}]}",
				field: "spec.networkPolicy.from[0].ipBlock.cidr",
				msg:   msgRequired,
			},
			{
				spec:  "networkPolicy: {metricsFrom: [{ipBlock: {}}]}",
				field: "spec.networkPolicy.metricsFrom[0].ipBlock.cidr",
				msg:   msgRequired,
			},
			{spec: "gatewayAPI: {}", field: "spec.gatewayAPI.parentRefs", msg: msgRequired},
			{spec: "gatewayAPI: {parentRefs: []}", field: "spec.gatewayAPI.parentRefs", msg: msgTooFew(1)},
			{spec: "gatewayAPI: {parentRefs: [{}]}", field: "spec.gatewayAPI.parentRefs[0].name", msg: msgRequired},
			{spec: "imagePullSecrets: [{}]", field: "spec.imagePullSecrets[0].name", msg: msgRequired},
			{spec: "gateway: {affinityCookie: {}}", field: "spec.gateway.affinityCookie.name", msg: msgRequired},
			{spec: "gateway: {auth: {apiKeySecretRef: {}}}", field: "spec.gateway.auth.apiKeySecretRef.name", msg: msgRequired},
			{
				spec:  "gateway: {channels: [{slowConsumer: DropOldest}]}",
				field: "spec.gateway.channels[0].pattern",
				msg:   msgRequired,
			},
			{
				spec:  "gateway: {channels: [{pattern: a, history: {ttl: 1m}}]}",
				field: "spec.gateway.channels[0].history.size",
				msg:   msgRequired,
			},
			{
				spec:  "gateway: {channels: [{pattern: a, history: {size: 1}}]}",
				field: "spec.gateway.channels[0].history.ttl",
				msg:   msgRequired,
			},
			{
				spec:  "gateway: {auth: {apiKeySecretRef: {name: s}, previousAPIKeySecretRef: {}}}",
				field: "spec.gateway.auth.previousAPIKeySecretRef.name",
				msg:   msgRequired,
			},
			{spec: "gateway: {auth: {jwt: {secretRef: {}}}}", field: "spec.gateway.auth.jwt.secretRef.name", msg: msgRequired},
			{
				spec:  "gateway: {auth: {jwt: {secretRef: {name: s}, previousSecretRef: {}}}}",
				field: "spec.gateway.auth.jwt.previousSecretRef.name",
				msg:   msgRequired,
			},
			{spec: "gateway: {hooks: {secretRef: {}}}", field: "spec.gateway.hooks.secretRef.name", msg: msgRequired},
			{spec: "gateway: {hooks: {connect: {}}}", field: "spec.gateway.hooks.connect.url", msg: msgRequired},
			{spec: "gateway: {hooks: {subscribe: {}}}", field: "spec.gateway.hooks.subscribe.url", msg: msgRequired},
			{spec: "gateway: {hooks: {publish: {}}}", field: "spec.gateway.hooks.publish.url", msg: msgRequired},
			{spec: "gateway: {hooks: {rpc: {}}}", field: "spec.gateway.hooks.rpc.url", msg: msgRequired},
			{spec: "gateway: {hooks: {refresh: {}}}", field: "spec.gateway.hooks.refresh.url", msg: msgRequired},
			{spec: "gateway: {hooks: {subRefresh: {}}}", field: "spec.gateway.hooks.subRefresh.url", msg: msgRequired},
			{spec: "gateway: {webhooks: {}}", field: "spec.gateway.webhooks.url", msg: msgRequired},
			{spec: "gateway: {tls: {}}", field: "spec.gateway.tls.secretName", msg: msgRequired},
			{spec: "autoscaling: {}", field: "spec.autoscaling.maxReplicas", msg: msgRequired},
			{
				title: "of the wrong type",
				spec:  "replicas: many",
				field: "spec.replicas",
				msg:   "must be of type integer: \"string\"",
			},
			{
				title: "with a number",
				spec:  "drain: {timeout: 300}",
				field: "spec.drain.timeout",
				msg:   "must be of type string: \"integer\"",
			},
		},
	)
}

// The API server's wording of the limits.
const msgRequired = "Required value"

func msgBelow(limit int) string   { return fmt.Sprintf("should be greater than or equal to %d", limit) }
func msgAbove(limit int) string   { return fmt.Sprintf("should be less than or equal to %d", limit) }
func msgShort(limit int) string   { return fmt.Sprintf("should be at least %d chars long", limit) }
func msgLong(limit int) string    { return fmt.Sprintf("may not be more than %d bytes", limit) }
func msgTooFew(limit int) string  { return fmt.Sprintf("should have at least %d items", limit) }
func msgTooMany(limit int) string { return fmt.Sprintf("must have at most %d items", limit) }
func msgNotInList(list []string) string {
	return `supported values: "` + strings.Join(list, `", "`) + `"`
}

const msgTwice = "Duplicate value"

func numberBelow(field, spec string, value, limit int) []refusal {
	return []refusal{{title: "below", spec: fmt.Sprintf(spec, fmt.Sprint(value)), field: field, msg: msgBelow(limit)}}
}

func numberAbove(field, spec string, value, limit int) []refusal {
	return []refusal{{title: "above", spec: fmt.Sprintf(spec, fmt.Sprint(value)), field: field, msg: msgAbove(limit)}}
}

func textEmpty(field, spec string) []refusal {
	return []refusal{{title: "empty", spec: fmt.Sprintf(spec, "''"), field: field, msg: msgShort(1)}}
}

func textLong(field, spec string, limit int) []refusal {
	return []refusal{{
		title: "too long",
		spec:  fmt.Sprintf(spec, strings.Repeat("a", limit+1)),
		field: field,
		msg:   msgLong(limit),
	}}
}

func notInList(field, spec string, list ...string) []refusal {
	return []refusal{{title: "unknown", spec: fmt.Sprintf(spec, "Other"), field: field, msg: msgNotInList(list)}}
}

func tooMany(field, spec, item string, limit int) []refusal {
	items := make([]string, limit+1)
	for i := range items {
		items[i] = fmt.Sprintf(item, i)
	}
	return []refusal{{
		title: "too many",
		spec:  fmt.Sprintf(spec, strings.Join(items, ", ")),
		field: field,
		msg:   msgTooMany(limit),
	}}
}

func twice(field, spec string) []refusal {
	// The API server names the second of the two items.
	return []refusal{{title: "twice", spec: spec, field: field + "[1]", msg: msgTwice}}
}

func TestAPISchemaRefuses(t *testing.T) {
	t.Parallel()
	testRefused(t, refusedBySchema())
}

func TestAPISchemaLimitsHaveCases(t *testing.T) {
	t.Parallel()
	type limit struct{ field, msg string }
	cases := map[limit]bool{}
	for _, r := range refusedBySchema() {
		cases[limit{schemaPath(r.field), r.msg}] = true
	}
	walkSchema(readSchema(t), func(path string, foreign bool, schema *apiextensionsv1.JSONSchemaProps) {
		if foreign {
			return
		}
		for _, l := range limits(path, schema) {
			assert.True(t, cases[limit{l.field, l.msg}], "no manifest breaks the limit %s: %s", l.field, l.msg)
		}
	})
}

// limits returns the limits of one schema, each with the API server's message for a value beyond it.
func limits(path string, schema *apiextensionsv1.JSONSchemaProps) []refusal {
	var all []refusal
	add := func(field, msg string) { all = append(all, refusal{field: field, msg: msg}) }
	if schema.Minimum != nil {
		add(path, msgBelow(int(*schema.Minimum)))
	}
	if schema.Maximum != nil {
		add(path, msgAbove(int(*schema.Maximum)))
	}
	if schema.MinLength != nil {
		add(path, msgShort(int(*schema.MinLength)))
	}
	if schema.MaxLength != nil {
		add(path, msgLong(int(*schema.MaxLength)))
	}
	if schema.MinItems != nil {
		add(path, msgTooFew(int(*schema.MinItems)))
	}
	if schema.MaxItems != nil {
		add(path, msgTooMany(int(*schema.MaxItems)))
	}
	if schema.MaxProperties != nil {
		add(path, msgTooMany(int(*schema.MaxProperties)))
	}
	if list := schema.XListType; list != nil && *list != "atomic" {
		add(path+"[]", msgTwice)
	}
	if len(schema.Enum) > 0 {
		var values []string
		for _, value := range schema.Enum {
			values = append(values, strings.Trim(string(value.Raw), `"`))
		}
		add(path, msgNotInList(values))
	}
	for _, name := range schema.Required {
		add(path+"."+name, msgRequired)
	}
	if schema.Pattern != "" || schema.MultipleOf != nil || schema.MinProperties != nil ||
		schema.ExclusiveMinimum || schema.ExclusiveMaximum {
		add(path, "a limit that this test does not know")
	}
	return all
}
