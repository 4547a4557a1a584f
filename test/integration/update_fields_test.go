package integration

import (
	"github.com/wsfleet/wsfleet/internal/contract"
)

// fieldChange is a spec field, and what its change does to a child.
type fieldChange struct {
	field string
	// from and to are specs of the same cluster.
	from, to string
	child    child
	// where in the child, and what stands there after the change and not before.
	where, want string
}

const (
	container      = ".spec.template.spec.containers[0]"
	pod            = ".spec.template.spec"
	nginx          = `.metadata.annotations.nginx\.ingress\.kubernetes\.io/`
	connections    = ".spec.metrics[0].pods.target.averageValue"
	standalone     = "redis: {external: {addresses: ['r:6379']}}"
	withIngress    = "ingress: {profile: nginx}"
	withAutoscaler = "autoscaling: {maxReplicas: 5}"
)

// fieldChanges has every field of the spec, but for paused, which has a test of its own.
func fieldChanges() []fieldChange {
	return []fieldChange{
		{"spec.replicas", "{}", "replicas: 3", gatewayDeployment, ".spec.replicas", "3"},
		{"spec.image", "{}", "image: example.com/gateway:v2", gatewayDeployment, container + ".image", "example.com/gateway:v2"},
		{"spec.imagePullPolicy", "{}", "imagePullPolicy: Never", gatewayDeployment, container + ".imagePullPolicy", "Never"},
		{"spec.imagePullSecrets[].name", "imagePullSecrets: [{name: a}]", "imagePullSecrets: [{name: b}]", gatewayDeployment, pod + ".imagePullSecrets[*].name", "b"},
		{"spec.imagePullSecrets[].name", "imagePullSecrets: [{name: a}]", "imagePullSecrets: [{name: b}]", redisDeployment, pod + ".imagePullSecrets[*].name", "b"},
		{"spec.resources.limits", "{}", "resources: {limits: {memory: 64Mi}}", gatewayDeployment, container + ".resources.limits.memory", "64Mi"},
		{"spec.resources.requests", "{}", "resources: {requests: {memory: 16Mi}}", gatewayDeployment, container + ".resources.requests.memory", "16Mi"},

		{"spec.pod.labels", "{}", "pod: {labels: {team: chat}}", gatewayDeployment, ".spec.template.metadata.labels.team", "chat"},
		{"spec.pod.annotations", "{}", "pod: {annotations: {team: chat}}", gatewayDeployment, ".spec.template.metadata.annotations.team", "chat"},
		{"spec.pod.nodeSelector", "{}", "pod: {nodeSelector: {disk: ssd}}", gatewayDeployment, pod + ".nodeSelector.disk", "ssd"},
		{"spec.pod.tolerations", "{}", "pod: {tolerations: [{key: spot, operator: Exists}]}", gatewayDeployment, pod + ".tolerations[*].key", "spot"},
		{"spec.pod.affinity", "{}", "pod: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: gpu, operator: DoesNotExist}]}]}}}}", gatewayDeployment, pod + ".affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[*].matchExpressions[*].key", "gpu"},
		{"spec.pod.topologySpreadConstraints", "{}", "pod: {topologySpreadConstraints: [{maxSkew: 2, topologyKey: rack, whenUnsatisfiable: DoNotSchedule}]}", gatewayDeployment, pod + ".topologySpreadConstraints[*].topologyKey", "rack"},
		{"spec.pod.priorityClassName", "{}", "pod: {priorityClassName: high}", gatewayDeployment, pod + ".priorityClassName", "high"},
		{"spec.pod.env", "{}", "pod: {env: [{name: TZ, value: UTC}]}", gatewayDeployment, container + `.env[?(@.name=="TZ")].value`, "UTC"},

		{"spec.gateway.maxConnections", "{}", "gateway: {maxConnections: 5000}", gatewayConfig, setting + contract.KeyMaxConnections, "5000"},
		{"spec.gateway.maxConnections", withAutoscaler, "{gateway: {maxConnections: 5000}, autoscaling: {maxReplicas: 5}}", gatewayAutoscaler, connections, "3750"},
		{"spec.gateway.maxConnectionsPerIP", "{}", "gateway: {maxConnectionsPerIP: 7}", gatewayConfig, setting + contract.KeyMaxConnectionsPerIP, "7"},
		{"spec.gateway.maxMessageBytes", "{}", "gateway: {maxMessageBytes: 4096}", gatewayConfig, setting + contract.KeyMaxMessageBytes, "4096"},
		{"spec.gateway.connectRate", "{}", "gateway: {connectRate: 50}", gatewayConfig, setting + contract.KeyConnectRate, "50"},
		{"spec.gateway.messageRate", "{}", "gateway: {messageRate: 20}", gatewayConfig, setting + contract.KeyMessageRate, "20"},
		{"spec.gateway.maxTotalQueuedBytes", "{}", "gateway: {maxQueuedBytes: 65536, maxTotalQueuedBytes: 70001}", gatewayConfig, setting + contract.KeyMaxTotalQueuedBytes, "70001"},
		{"spec.gateway.handshakeTimeout", "{}", "gateway: {handshakeTimeout: 5s}", gatewayConfig, setting + contract.KeyHandshakeTimeout, "5s"},
		{"spec.gateway.connectTimeout", "{}", "gateway: {connectTimeout: 5s}", gatewayConfig, setting + contract.KeyConnectTimeout, "5s"},
		{"spec.gateway.compression", "{}", "gateway: {compression: true}", gatewayConfig, setting + contract.KeyCompression, "true"},
		{"spec.gateway.channels[].pattern", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: b}]}", gatewayConfig, setting + contract.KeyChannels, "[map[pattern:b slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].slowConsumer", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, slowConsumer: LatestOnly}]}", gatewayConfig, setting + contract.KeyChannels, "[map[pattern:a slowConsumer:LatestOnly]]"},
		{"spec.gateway.tls.secretName", "{}", "gateway: {tls: {secretName: certificate}}", gatewayConfig, setting + contract.KeyTLSCertFile, contract.TLSDir + "/" + contract.TLSCertKey},
		{"spec.gateway.tls.secretName", "{}", "gateway: {tls: {secretName: certificate}}", gatewayDeployment, pod + `.volumes[?(@.name=="tls")].secret.secretName`, "certificate"},
		{"spec.gateway.tls.secretName", "{}", "gateway: {tls: {secretName: certificate}}", gatewayService, ".spec.ports[0].appProtocol", "kubernetes.io/wss"},
		{"spec.gateway.tls.secretName", withIngress, "{ingress: {profile: nginx}, gateway: {tls: {secretName: certificate}}}", gatewayIngress, nginx + "backend-protocol", "HTTPS"},
		{"spec.gateway.maxQueuedBytes", "{}", "gateway: {maxQueuedBytes: 70000}", gatewayConfig, setting + contract.KeyMaxQueuedBytes, "70000"},
		{"spec.gateway.maxChannelsPerConnection", "{}", "gateway: {maxChannelsPerConnection: 9}", gatewayConfig, setting + contract.KeyMaxChannelsPerConnection, "9"},
		{"spec.gateway.pingInterval", "{}", "gateway: {pingInterval: 45s}", gatewayConfig, setting + contract.KeyPingInterval, "45s"},
		{"spec.gateway.pongTimeout", "{}", "gateway: {pongTimeout: 3s}", gatewayConfig, setting + contract.KeyPongTimeout, "3s"},
		{"spec.gateway.allowedOrigins", "{}", "gateway: {allowedOrigins: ['https://a.example']}", gatewayConfig, setting + contract.KeyAllowedOrigins, "[https://a.example]"},
		{"spec.gateway.trustedProxies", "{}", "gateway: {trustedProxies: [10.0.0.0/8]}", gatewayConfig, setting + contract.KeyTrustedProxies, "[10.0.0.0/8]"},
		{"spec.gateway.auth.apiKeySecretRef.name", "{}", "gateway: {auth: {apiKeySecretRef: {name: credentials}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_API_KEY")].valueFrom.secretKeyRef.name`, "credentials"},
		{"spec.gateway.auth.apiKeySecretRef.key", "gateway: {auth: {apiKeySecretRef: {name: credentials}}}", "gateway: {auth: {apiKeySecretRef: {name: credentials, key: other}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_API_KEY")].valueFrom.secretKeyRef.key`, "other"},

		{"spec.gateway.maxConnectionsPerUser", "{}", "gateway: {maxConnectionsPerUser: 4}", gatewayConfig, setting + contract.KeyMaxConnectionsPerUser, "4"},
		{"spec.gateway.channels[].history.size", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, history: {size: 5, ttl: 1m}}]}", gatewayConfig, setting + contract.KeyChannels, "[map[history:map[size:5 ttl:1m0s] pattern:a slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].history.ttl", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, history: {size: 5, ttl: 2m}}]}", gatewayConfig, setting + contract.KeyChannels, "[map[history:map[size:5 ttl:2m0s] pattern:a slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].recovery", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, history: {size: 5, ttl: 1m}, recovery: true}]}", gatewayConfig, setting + contract.KeyChannels, "[map[history:map[size:5 ttl:1m0s] pattern:a recovery:true slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].presence", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, presence: true}]}", gatewayConfig, setting + contract.KeyChannels, "[map[pattern:a presence:true slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].joinLeave", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, presence: true, joinLeave: true}]}", gatewayConfig, setting + contract.KeyChannels, "[map[joinLeave:true pattern:a presence:true slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].publish", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, publish: Nobody}]}", gatewayConfig, setting + contract.KeyChannels, "[map[pattern:a publish:Nobody slowConsumer:Disconnect]]"},
		{"spec.gateway.channels[].subscribe", "gateway: {channels: [{pattern: a}]}", "gateway: {channels: [{pattern: a, subscribe: Token}]}", gatewayConfig, setting + contract.KeyChannels, "[map[pattern:a slowConsumer:Disconnect subscribe:Token]]"},
		{"spec.gateway.presence.ttl", "{}", "gateway: {presence: {ttl: 30s}}", gatewayConfig, setting + contract.KeyPresenceTTL, "30s"},
		{"spec.gateway.presence.grace", "{}", "gateway: {presence: {grace: 0s}}", gatewayConfig, setting + contract.KeyPresenceGrace, "0s"},
		{"spec.gateway.auth.anonymous", "{}", "gateway: {auth: {anonymous: false, jwt: {jwksURL: 'https://b/keys'}}}", gatewayConfig, setting + contract.KeyAnonymous, "false"},
		{"spec.gateway.auth.jwt.secretRef.name", "{}", "gateway: {auth: {jwt: {secretRef: {name: credentials}}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_JWT_KEY")].valueFrom.secretKeyRef.name`, "credentials"},
		{"spec.gateway.auth.jwt.secretRef.key", "gateway: {auth: {jwt: {secretRef: {name: credentials}}}}", "gateway: {auth: {jwt: {secretRef: {name: credentials, key: other}}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_JWT_KEY")].valueFrom.secretKeyRef.key`, "other"},
		{"spec.gateway.auth.jwt.previousSecretRef.name", "gateway: {auth: {jwt: {secretRef: {name: credentials}}}}", "gateway: {auth: {jwt: {secretRef: {name: credentials}, previousSecretRef: {name: credentials}}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_JWT_PREVIOUS_KEY")].valueFrom.secretKeyRef.name`, "credentials"},
		{"spec.gateway.auth.jwt.previousSecretRef.key", "gateway: {auth: {jwt: {secretRef: {name: credentials}}}}", "gateway: {auth: {jwt: {secretRef: {name: credentials}, previousSecretRef: {name: credentials, key: other}}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_JWT_PREVIOUS_KEY")].valueFrom.secretKeyRef.key`, "other"},
		{"spec.gateway.auth.jwt.jwksURL", "{}", "gateway: {auth: {jwt: {jwksURL: 'https://a/keys'}}}", gatewayConfig, setting + contract.KeyJWTJWKSURL, "https://a/keys"},
		{"spec.gateway.auth.jwt.issuer", "gateway: {auth: {jwt: {jwksURL: 'https://a/keys'}}}", "gateway: {auth: {jwt: {jwksURL: 'https://a/keys', issuer: 'https://a/'}}}", gatewayConfig, setting + contract.KeyJWTIssuer, "https://a/"},
		{"spec.gateway.auth.jwt.audience", "gateway: {auth: {jwt: {jwksURL: 'https://a/keys'}}}", "gateway: {auth: {jwt: {jwksURL: 'https://a/keys', audience: chat}}}", gatewayConfig, setting + contract.KeyJWTAudience, "chat"},
		{"spec.gateway.auth.previousAPIKeySecretRef.name", "gateway: {auth: {apiKeySecretRef: {name: credentials}}}", "gateway: {auth: {apiKeySecretRef: {name: credentials}, previousAPIKeySecretRef: {name: credentials}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_API_PREVIOUS_KEY")].valueFrom.secretKeyRef.name`, "credentials"},
		{"spec.gateway.auth.previousAPIKeySecretRef.key", "gateway: {auth: {apiKeySecretRef: {name: credentials}}}", "gateway: {auth: {apiKeySecretRef: {name: credentials}, previousAPIKeySecretRef: {name: credentials, key: other}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_API_PREVIOUS_KEY")].valueFrom.secretKeyRef.key`, "other"},
		{"spec.gateway.hooks.connect.url", "{}", "gateway: {hooks: {connect: {url: 'http://a/connect'}}}", gatewayConfig, setting + contract.KeyHookConnectURL, "http://a/connect"},
		{"spec.gateway.hooks.connect.whenDown", "{}", "gateway: {hooks: {connect: {url: 'http://a', whenDown: Allow}}}", gatewayConfig, setting + contract.KeyHookConnectWhenDown, "Allow"},
		{"spec.gateway.hooks.subscribe.url", "{}", "gateway: {hooks: {subscribe: {url: 'http://a/subscribe'}}}", gatewayConfig, setting + contract.KeyHookSubscribeURL, "http://a/subscribe"},
		{"spec.gateway.hooks.subscribe.whenDown", "{}", "gateway: {hooks: {subscribe: {url: 'http://a', whenDown: Allow}}}", gatewayConfig, setting + contract.KeyHookSubscribeWhenDown, "Allow"},
		{"spec.gateway.hooks.publish.url", "{}", "gateway: {hooks: {publish: {url: 'http://a/publish'}}}", gatewayConfig, setting + contract.KeyHookPublishURL, "http://a/publish"},
		{"spec.gateway.hooks.publish.whenDown", "{}", "gateway: {hooks: {publish: {url: 'http://a', whenDown: Allow}}}", gatewayConfig, setting + contract.KeyHookPublishWhenDown, "Allow"},
		{"spec.gateway.hooks.rpc.url", "{}", "gateway: {hooks: {rpc: {url: 'http://a/rpc'}}}", gatewayConfig, setting + contract.KeyHookRPCURL, "http://a/rpc"},
		{"spec.gateway.hooks.timeout", "{}", "gateway: {hooks: {timeout: 250ms}}", gatewayConfig, setting + contract.KeyHookTimeout, "250ms"},
		{"spec.gateway.hooks.secretRef.name", "{}", "gateway: {hooks: {secretRef: {name: credentials}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_HOOK_SECRET")].valueFrom.secretKeyRef.name`, "credentials"},
		{"spec.gateway.hooks.secretRef.key", "{}", "gateway: {hooks: {secretRef: {name: credentials, key: other}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_HOOK_SECRET")].valueFrom.secretKeyRef.key`, "other"},
		{"spec.gateway.hooks.forwardHeaders", "{}", "gateway: {hooks: {forwardHeaders: [Cookie, X-A]}}", gatewayConfig, setting + contract.KeyHookForwardHeaders, "[Cookie X-A]"},
		{"spec.gateway.webhooks.url", "{}", "gateway: {webhooks: {url: 'http://a/events'}}", gatewayConfig, setting + contract.KeyWebhookURL, "http://a/events"},
		{"spec.gateway.webhooks.events", "{}", "gateway: {webhooks: {url: 'http://a', events: [occupied, vacated]}}", gatewayConfig, setting + contract.KeyWebhookEvents, "[occupied vacated]"},

		{"spec.redis.managed.resources.limits", "redis: {managed: {}}", "redis: {managed: {resources: {limits: {memory: 32Mi}}}}", redisDeployment, container + ".resources.limits.memory", "32Mi"},
		{"spec.redis.managed.resources.requests", "redis: {managed: {}}", "redis: {managed: {resources: {requests: {memory: 8Mi}}}}", redisDeployment, container + ".resources.requests.memory", "8Mi"},
		{"spec.redis.external.addresses", standalone, "redis: {external: {addresses: ['s:6379']}}", gatewayConfig, setting + contract.KeyRedisAddresses, "[s:6379]"},
		{"spec.redis.external.mode", "{}", "redis: {external: {mode: Cluster, addresses: ['r:6379']}}", gatewayConfig, setting + contract.KeyRedisMode, contract.RedisCluster},
		{"spec.redis.external.masterName", "redis: {external: {mode: Sentinel, masterName: a, addresses: ['s:26379']}}", "redis: {external: {mode: Sentinel, masterName: b, addresses: ['s:26379']}}", gatewayConfig, setting + contract.KeyRedisMasterName, "b"},
		{"spec.redis.external.credentialsSecretRef.name", standalone, "redis: {external: {addresses: ['r:6379'], credentialsSecretRef: {name: credentials}}}", gatewayDeployment, container + `.env[?(@.name=="WSFLEET_REDIS_PASSWORD")].valueFrom.secretKeyRef.name`, "credentials"},

		{"spec.drain.timeout", "{}", "drain: {timeout: 2m}", gatewayConfig, setting + contract.KeyDrainTimeout, "2m0s"},
		{"spec.drain.timeout", "{}", "drain: {timeout: 2m}", gatewayDeployment, pod + ".terminationGracePeriodSeconds", "145"},
		{"spec.drain.propagationDelay", "{}", "drain: {propagationDelay: 30s}", gatewayConfig, setting + contract.KeyDrainPropagationDelay, "30s"},
		{"spec.drain.propagationDelay", "{}", "drain: {propagationDelay: 30s}", gatewayDeployment, pod + ".terminationGracePeriodSeconds", "345"},
		{"spec.drain.maxClosesPerSecond", "{}", "drain: {maxClosesPerSecond: 50}", gatewayConfig, setting + contract.KeyDrainMaxClosesPerSecond, "50"},

		{"spec.rollout.maxSurge", "{}", "rollout: {maxSurge: 25%}", gatewayDeployment, ".spec.strategy.rollingUpdate.maxSurge", "25%"},
		{"spec.rollout.maxUnavailable", "{}", "rollout: {maxUnavailable: 2}", gatewayDeployment, ".spec.strategy.rollingUpdate.maxUnavailable", "2"},
		{"spec.rollout.minReadySeconds", "{}", "rollout: {minReadySeconds: 5}", gatewayDeployment, ".spec.minReadySeconds", "5"},

		{"spec.autoscaling.maxReplicas", withAutoscaler, "autoscaling: {maxReplicas: 9}", gatewayAutoscaler, ".spec.maxReplicas", "9"},
		{"spec.autoscaling.minReplicas", withAutoscaler, "autoscaling: {maxReplicas: 5, minReplicas: 4}", gatewayAutoscaler, ".spec.minReplicas", "4"},
		{"spec.autoscaling.targetConnectionsPerPod", withAutoscaler, "autoscaling: {maxReplicas: 5, targetConnectionsPerPod: 100}", gatewayAutoscaler, connections, "100"},
		{"spec.autoscaling.targetUtilizationPercent", withAutoscaler, "autoscaling: {maxReplicas: 5, targetUtilizationPercent: 50}", gatewayAutoscaler, connections, "5k"},
		{"spec.autoscaling.cpuUtilizationPercent", withAutoscaler, "autoscaling: {maxReplicas: 5, cpuUtilizationPercent: 60}", gatewayAutoscaler, ".spec.metrics[*].resource.target.averageUtilization", "60"},
		{"spec.autoscaling.behavior", withAutoscaler, "autoscaling: {maxReplicas: 5, behavior: {scaleDown: {stabilizationWindowSeconds: 30}}}", gatewayAutoscaler, ".spec.behavior.scaleDown.stabilizationWindowSeconds", "30"},

		{"spec.service.type", "{}", "service: {type: LoadBalancer}", gatewayService, ".spec.type", "LoadBalancer"},
		{"spec.service.type", "service: {type: LoadBalancer, externalTrafficPolicy: Local, loadBalancerClass: a.example/b}", "service: {type: ClusterIP}", gatewayService, ".spec.type", "ClusterIP"},
		{"spec.service.clientIPTimeoutSeconds", "{}", "service: {clientIPTimeoutSeconds: 60}", gatewayService, ".spec.sessionAffinityConfig.clientIP.timeoutSeconds", "60"},
		{"spec.service.externalTrafficPolicy", "service: {type: NodePort}", "service: {type: NodePort, externalTrafficPolicy: Local}", gatewayService, ".spec.externalTrafficPolicy", "Local"},
		{"spec.service.annotations", "{}", "service: {annotations: {team: chat}}", gatewayService, ".metadata.annotations.team", "chat"},
		{"spec.service.loadBalancerClass", "{}", "service: {type: LoadBalancer, loadBalancerClass: a.example/b}", gatewayService, ".spec.loadBalancerClass", "a.example/b"},

		{"spec.ingress.className", withIngress, "ingress: {profile: nginx, className: outside}", gatewayIngress, ".spec.ingressClassName", "outside"},
		{"spec.ingress.hosts", withIngress, "ingress: {profile: nginx, hosts: [ws.example.com]}", gatewayIngress, ".spec.rules[*].host", "ws.example.com"},
		{"spec.ingress.path", withIngress, "ingress: {profile: nginx, path: /live}", gatewayIngress, ".spec.rules[0].http.paths[0].path", "/live"},
		{"spec.ingress.tls[].hosts", "ingress: {profile: nginx, tls: [{secretName: a}]}", "ingress: {profile: nginx, tls: [{secretName: a, hosts: [ws.example.com]}]}", gatewayIngress, ".spec.tls[*].hosts[*]", "ws.example.com"},
		{"spec.ingress.tls[].secretName", "ingress: {profile: nginx, tls: [{secretName: a}]}", "ingress: {profile: nginx, tls: [{secretName: b}]}", gatewayIngress, ".spec.tls[*].secretName", "b"},
		{"spec.ingress.profile", "ingress: {profile: none}", withIngress, gatewayIngress, nginx + "affinity", "cookie"},
		{"spec.ingress.cookie.name", withIngress, "ingress: {profile: nginx, cookie: {name: pod}}", gatewayIngress, nginx + "session-cookie-name", "pod"},
		{"spec.ingress.cookie.name", withIngress, "ingress: {profile: nginx, cookie: {name: pod}}", gatewayConfig, setting + contract.KeyAffinityCookie, "pod"},
		{"spec.ingress.cookie.maxAge", withIngress, "ingress: {profile: nginx, cookie: {maxAge: 2h}}", gatewayIngress, nginx + "session-cookie-max-age", "7200"},
		{"spec.ingress.cookie.sameSite", withIngress, "ingress: {profile: nginx, cookie: {sameSite: Strict}}", gatewayIngress, nginx + "session-cookie-samesite", "Strict"},
		{"spec.ingress.cookie.secure", withIngress, "ingress: {profile: nginx, cookie: {secure: true}}", gatewayIngress, nginx + "session-cookie-secure", "true"},
		{"spec.ingress.idleTimeout", withIngress, "ingress: {profile: nginx, idleTimeout: 10m}", gatewayIngress, nginx + "proxy-read-timeout", "600"},
		{"spec.ingress.annotations", withIngress, "ingress: {profile: nginx, annotations: {nginx.ingress.kubernetes.io/proxy-read-timeout: '5'}}", gatewayIngress, nginx + "proxy-read-timeout", "5"},

		{"spec.disruption.maxUnavailable", "{}", "disruption: {maxUnavailable: 2}", gatewayBudget, ".spec.maxUnavailable", "2"},
	}
}
