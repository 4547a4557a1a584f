package integration

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The bounds that the rules name are valid values.
func TestAPIAcceptsSpecs(t *testing.T) {
	t.Parallel()
	namespace := newNamespace(t)
	for title, spec := range map[string]string{
		"nothing":                      "{}",
		"one gateway without Redis":    "{redis: {}, replicas: 1}",
		"by default without Redis":     "redis: {}",
		"no gateway without Redis":     "{redis: {}, replicas: 0}",
		"one autoscaled without Redis": "{redis: {}, replicas: 1, autoscaling: {maxReplicas: 1}}",
		"one autoscaled":               "autoscaling: {maxReplicas: 1}",
		"autoscaled to none":           "autoscaling: {minReplicas: 0, maxReplicas: 1}",
		"autoscaled to none by another server's metric": "autoscaling: {minReplicas: 0, maxReplicas: 1, " +
			"metrics: Existing, existingMetric: {type: Object, name: 'ws:connections'}}",
		"target at the limit": "{gateway: {maxConnections: 100}, autoscaling: {maxReplicas: 3, " +
			"targetConnectionsPerPod: 100}}",
		"Sentinel": "redis: {external: {mode: Sentinel, masterName: main, addresses: ['s1:26379', " +
			"'s2:26379']}}",
		"Cluster": "redis: {external: {mode: Cluster, addresses: ['10.0.0.1:6379', " +
			"'[fd00::1]:6379']}}",
		"surge by unavailability":         "rollout: {maxSurge: 0, maxUnavailable: 1}",
		"rollout by percentages":          "rollout: {maxSurge: 100%, maxUnavailable: 0%}",
		"all clients at once":             "drain: {timeout: 0s, propagationDelay: 10s}",
		"the longest drain":               "drain: {timeout: 24h, propagationDelay: 23h59m59s}",
		"durations in parts":              "gateway: {pingInterval: 1m30s, pongTimeout: 1.5s}",
		"ping just below the proxy's cut": "{gateway: {pingInterval: 59s}, ingress: {idleTimeout: 1m}}",
		"queue of one message":            "gateway: {maxMessageBytes: 1048576}",
		"no rates":                        "gateway: {connectRate: 0, messageRate: 0}",
		"the shortest first words":        "gateway: {handshakeTimeout: 1s, connectTimeout: 1000ms}",
		"the longest first words":         "gateway: {handshakeTimeout: 10m, connectTimeout: 10m}",
		"one client's queue in all":       "gateway: {maxQueuedBytes: 65536, maxTotalQueuedBytes: 65536}",
		"large queues":                    "gateway: {maxQueuedBytes: 1073741824}",
		"a tebibyte of queues":            "gateway: {maxTotalQueuedBytes: 1099511627776}",
		"compression":                     "gateway: {compression: true}",
		"personal channels":               "gateway: {personalChannels: true}",
		"the own host on any port":        "gateway: {originAnyPort: true}",
		"health on the public port":       "gateway: {publicHealth: true}",
		"a cookie of one's own proxy":     "gateway: {affinityCookie: {name: ROUTEID, path: /x, value: '.{name}'}}",
		"a cookie beside an Ingress": "{gateway: {affinityCookie: {name: a}}, ingress: {profile: none}, " +
			"gatewayAPI: {parentRefs: [{name: a}], sessionPersistence: 'Off'}}",
		"refusals at once":            "gateway: {refusalDelay: 0s}",
		"refusals held for long":      "gateway: {refusalDelay: 10s}",
		"the shortest keep-alive":     "gateway: {httpIdleTimeout: 1s}",
		"the longest keep-alive":      "gateway: {httpIdleTimeout: 1h}",
		"no PROXY protocol":           "gateway: {proxyProtocol: Disabled}",
		"the PROXY protocol":          "gateway: {proxyProtocol: Required, trustedProxies: [10.0.0.0/8]}",
		"the largest close code":      "drain: {closeCode: 4299}",
		"the smallest close code":     "drain: {closeCode: 1001}",
		"a close code for all stacks": "drain: {closeCode: 4000}",
		"rules": "gateway: {channels: [{pattern: 'prices:*', slowConsumer: LatestOnly}, " +
			"{pattern: 'grüße'}, {pattern: '*', slowConsumer: DropOldest}]}",
		"rules of all kinds": "gateway: {channels: [{pattern: a, history: {size: 100000, ttl: 720h}, " +
			"recovery: true, recoveryMode: Cache, presence: true, joinLeave: true, forceJoinLeave: true, " +
			"tagsFilter: true, readPresence: Anybody, readHistory: Anybody, publish: Nobody, subscribe: Token}, " +
			"{pattern: b, history: {size: 1, ttl: 1s}, slowConsumer: LatestOnly, publish: Anybody, subscribe: " +
			"Authenticated}, {pattern: c, recovery: false, recoveryMode: Stream, joinLeave: false, forceJoinLeave: false, " +
			"readPresence: Subscribers, readHistory: Subscribers}]}",
		"the shortest presence": "gateway: {presence: {ttl: 5s, grace: 0s}}",
		"the longest presence":  "gateway: {presence: {ttl: 1h, grace: 5m}}",
		"tokens by a key": "gateway: {auth: {anonymous: false, jwt: {secretRef: {name: a}, " +
			"previousSecretRef: {name: b, key: c}, issuer: i, audience: a}}}",
		"tokens by a key set": "gateway: {auth: {anonymous: false, jwt: {jwksURL: " +
			"'https://id.example.com/.well-known/jwks.json'}}}",
		"users by a hook": "gateway: {auth: {anonymous: false}, hooks: {connect: {url: " +
			"'http://app.team.svc:8080/connect'}}}",
		"two API keys": "gateway: {auth: {apiKeySecretRef: {name: a}, previousAPIKeySecretRef: {name: " +
			"a, key: old}}}",
		"URLs": "gateway: {hooks: {connect: {url: 'http://[fd00::1]:8080?a=b'}, subscribe: " +
			"{url: 'https://my_app/@me/'}, publish: {url: 'https://app.example.com:65535'}, rpc: {url: " +
			"'http://10.0.0.1:1/a%20b'}, refresh: {url: 'http://a'}, subRefresh: {url: 'https://a/?b'}}}",
		"hooks": "gateway: {hooks: {timeout: 10ms, secretRef: {name: a}, forwardHeaders: " +
			"[Cookie, x_request_id]}}",
		"webhooks": "gateway: {webhooks: {url: 'http://a', events: [connected, disconnected, " +
			"occupied, vacated]}, hooks: {timeout: 30s}}",
		"certificate": "gateway: {tls: {secretName: gateway-certificate}}",
		"origins": "gateway: {allowedOrigins: ['*', 'https://*.example.com', " +
			"'http://localhost:3000', 'http://[::1]:3000', 'capacitor://localhost', 'chrome-extension://abcdef', " +
			"'null', 'file://']}",
		"proxies": "gateway: {trustedProxies: [10.0.0.0/8, 'fd00::/8', 10.1.2.3/32]}",
		"peers of each kind": "networkPolicy: {from: [{podSelector: {}}, {namespaceSelector: {}}, " +
			"{podSelector: {}, namespaceSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}",
		"no peers":    "networkPolicy: {from: [], metricsFrom: []}",
		"no policies": "networkPolicy: {enabled: false}",
		"route": "gatewayAPI: {parentRefs: [{name: a}, {name: b, namespace: c, sectionName: d, port: 443}], hostnames: " +
			"['*.example.com'], path: /live, sessionPersistence: Backend, cookie: {name: pod, maxAge: 1s}}",
		"route beside an Ingress": "{gatewayAPI: {parentRefs: [{name: a}], path: /live, cookie: {name: pod}}, ingress: " +
			"{path: /live, cookie: {name: pod}}}",
		"load balancer": "service: {type: LoadBalancer, loadBalancerClass: a.example/b, " +
			"externalTrafficPolicy: Local}",
		"both families": "service: {ipFamilyPolicy: PreferDualStack, ipFamilies: [IPv6, IPv4]}",
		"one family":    "service: {ipFamilies: [IPv4]}",
		"ports and sources of a load balancer": "service: {type: LoadBalancer, nodePort: 30080, " +
			"loadBalancerSourceRanges: [10.0.0.0/8, 'fd00::/8']}",
		"clients of the zone":        "service: {trafficDistribution: PreferSameZone}",
		"no evictions":               "{replicas: 1, disruption: {evictionSafe: Never}}",
		"cookie for other sites":     "ingress: {cookie: {sameSite: None, secure: true, maxAge: 48h}}",
		"hosts":                      "ingress: {hosts: [ws.example.com, '*.example.com', localhost], path: /live/}",
		"log level by environment":   "pod: {env: [{name: WSFLEET_LOG_LEVEL, value: debug}, {name: TZ, value: UTC}]}",
		"version label of one's own": "pod: {labels: {app.kubernetes.io/version: '7', team: chat}}",
	} {
		t.Run(title, func(t *testing.T) {
			require.NoError(t, env.client.Create(t.Context(), manifest(t, namespace, "fleet", spec), client.DryRunAll))
		})
	}
	t.Run("name of 50 characters", func(t *testing.T) {
		name := "a2345678901234567890123456789012345678901234567890"
		require.NoError(t, env.client.Create(t.Context(), manifest(t, namespace, name, "{}"), client.DryRunAll))
	})
}
