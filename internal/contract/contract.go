// Package contract is what the operator and the gateway say to each other: ports, paths, file
// places, configuration keys and the JSON of the fleet report. It has no logic, so that the
// controllers can import it without importing the gateway.
package contract

import "time"

// Ports of a gateway and their names on the container.
const (
	PublicPort     = 8080
	PublicPortName = "ws"
	AdminPort      = 9090
	AdminPortName  = "admin"
)

// Paths of the public port.
const (
	PathPlain      = "/ws"
	PathCentrifuge = "/connection/websocket"
	PathAPI        = "/api/"
)

// Paths of the admin port. PathFleet, PathDrain, PathUndrain and PathConnections want the bearer
// token when one is configured, and answer loopback only when none is.
const (
	PathLivez       = "/livez"
	PathReadyz      = "/readyz"
	PathMetrics     = "/metrics"
	PathFleet       = "/fleet"
	PathDrain       = "/drain"
	PathUndrain     = "/undrain"
	PathConnections = "/connections"
)

// HeaderNode is the response header of a WebSocket handshake that names the gateway which
// accepted it: the pod's name in a cluster.
const HeaderNode = "Wsfleet-Node"

// MetricConnections is the gauge of open client connections, and the Pods metric that the
// HorizontalPodAutoscaler reads.
const MetricConnections = "websocket_connections"

// Places inside the gateway container.
const (
	// Binary is the gateway's own executable; preStop runs `Binary drain`.
	Binary = "/wsfleet-gateway"
	// ConfigFile is where the operator mounts the configuration.
	ConfigFile = "/etc/wsfleet/config/gateway.yaml"
	// AdminTokenDir is where the operator mounts the admin Secret. Every file in it whose name
	// does not begin with a dot holds one valid bearer token; two are valid during a rotation.
	AdminTokenDir = "/etc/wsfleet/admin"
	// AdminTokenKey is the admin Secret's key whose token the operator itself uses.
	AdminTokenKey = "token"
	// TLSDir is where the operator mounts the certificate's Secret, which is of type
	// kubernetes.io/tls and therefore has the keys TLSCertKey and TLSPrivateKey.
	TLSDir        = "/etc/wsfleet/tls"
	TLSCertKey    = "tls.crt"
	TLSPrivateKey = "tls.key"
)

// Configuration keys. A key is at once the flag (--max-connections), the key in the
// configuration file (max-connections: 10000) and, upper-cased behind EnvPrefix, the
// environment variable (WSFLEET_MAX_CONNECTIONS). A flag wins over the environment, the
// environment over the file.
const (
	EnvPrefix = "WSFLEET_"

	KeyConfig                   = "config"
	KeyNodeName                 = "node-name"
	KeyListen                   = "listen"
	KeyAdminListen              = "admin-listen"
	KeyAdminTokenDir            = "admin-token-dir"
	KeyLogLevel                 = "log-level"
	KeyLogFormat                = "log-format"
	KeyMaxConnections           = "max-connections"
	KeyMaxConnectionsPerIP      = "max-connections-per-ip"
	KeyMaxConnectionsPerUser    = "max-connections-per-user"
	KeyConnectRate              = "connect-rate"
	KeyMaxMessageBytes          = "max-message-bytes"
	KeyMessageRate              = "message-rate"
	KeyMaxQueuedBytes           = "max-queued-bytes"
	KeyMaxTotalQueuedBytes      = "max-total-queued-bytes"
	KeyMaxChannelsPerConnection = "max-channels-per-connection"
	KeyHandshakeTimeout         = "handshake-timeout"
	KeyConnectTimeout           = "connect-timeout"
	KeyPingInterval             = "ping-interval"
	KeyPongTimeout              = "pong-timeout"
	KeyCompression              = "compression"
	KeyChannels                 = "channels"
	KeyPresenceTTL              = "presence-ttl"
	KeyPresenceGrace            = "presence-grace"
	KeyTLSCertFile              = "tls-cert-file"
	KeyTLSKeyFile               = "tls-key-file"
	KeyAllowedOrigins           = "allowed-origins"
	KeyTrustedProxies           = "trusted-proxies"
	KeyAffinityCookie           = "affinity-cookie"
	KeyAffinityCookiePath       = "affinity-cookie-path"
	KeyAnonymous                = "anonymous"
	KeyJWTKey                   = "jwt-key"
	KeyJWTPreviousKey           = "jwt-previous-key"
	KeyJWTJWKSURL               = "jwt-jwks-url"
	KeyJWTIssuer                = "jwt-issuer"
	KeyJWTAudience              = "jwt-audience"
	KeyAPIKey                   = "api-key"
	KeyAPIPreviousKey           = "api-previous-key"
	KeyHookConnectURL           = "hook-connect-url"
	KeyHookConnectWhenDown      = "hook-connect-when-down"
	KeyHookSubscribeURL         = "hook-subscribe-url"
	KeyHookSubscribeWhenDown    = "hook-subscribe-when-down"
	KeyHookPublishURL           = "hook-publish-url"
	KeyHookPublishWhenDown      = "hook-publish-when-down"
	KeyHookRPCURL               = "hook-rpc-url"
	KeyHookTimeout              = "hook-timeout"
	KeyHookSecret               = "hook-secret"
	KeyHookForwardHeaders       = "hook-forward-headers"
	KeyWebhookURL               = "webhook-url"
	KeyWebhookEvents            = "webhook-events"
	KeyBroker                   = "broker"
	KeyRedisMode                = "redis-mode"
	KeyRedisAddresses           = "redis-addresses"
	KeyRedisMasterName          = "redis-master-name"
	KeyRedisUsername            = "redis-username"
	KeyRedisPassword            = "redis-password"
	KeyRedisPrefix              = "redis-prefix"
	KeyDrainTimeout             = "drain-timeout"
	KeyDrainPropagationDelay    = "drain-propagation-delay"
	KeyDrainMaxClosesPerSecond  = "drain-max-closes-per-second"
)

// Values of KeyBroker and KeyRedisMode.
const (
	BrokerMemory = "memory"
	BrokerRedis  = "redis"

	RedisStandalone = "standalone"
	RedisSentinel   = "sentinel"
	RedisCluster    = "cluster"
)

// How long secrets must be: a key that tokens are signed with, of which a public one in PEM always is
// longer, and a secret that hooks are signed with, which is whsec_ and at least 24 bytes in base64.
const (
	MinJWTKeyBytes     = 32
	MinHookSecretBytes = 38
)

// Values of the keys that end in -when-down: what a client is answered while its hook is not there to
// ask.
const (
	HookRefuse = "Refuse"
	HookAllow  = "Allow"
)

// Values of KeyWebhookEvents.
const (
	WebhookConnected    = "connected"
	WebhookDisconnected = "disconnected"
	WebhookOccupied     = "occupied"
	WebhookVacated      = "vacated"
)

// State is where a gateway is in its life.
type State string

// A gateway serves, then drains, then is drained; Undrain takes it from draining back to serving.
const (
	StateServing  State = "serving"
	StateDraining State = "draining"
	StateDrained  State = "drained"
)

// BrokerState says whether messages flow between this gateway and the others.
type BrokerState string

// Connecting is a gateway that never reached its broker since it started; degraded is one that did,
// and lost it.
const (
	BrokerReady      BrokerState = "ready"
	BrokerConnecting BrokerState = "connecting"
	BrokerDegraded   BrokerState = "degraded"
)

// GatewayReport is the answer to GET PathFleet: all that the operator knows of one gateway.
type GatewayReport struct {
	Node           string       `json:"node"`
	Version        string       `json:"version"`
	State          State        `json:"state"`
	Connections    int          `json:"connections"`
	MaxConnections int          `json:"maxConnections"`
	Broker         BrokerReport `json:"broker"`
	Drain          *DrainReport `json:"drain,omitempty"`
}

// BrokerReport is the broker as one gateway sees it.
type BrokerReport struct {
	Kind  string      `json:"kind"`
	State BrokerState `json:"state"`
	// Error is the last error of a broker that is not ready. It names addresses, never credentials.
	Error string `json:"error,omitempty"`
}

// DrainReport is present while a gateway drains and after.
type DrainReport struct {
	Reason    string    `json:"reason"`
	StartedAt time.Time `json:"startedAt"`
	Deadline  time.Time `json:"deadline"`
	// Closed counts connections that were closed at the drain's pace, Forced those that were left
	// at the deadline and closed at once.
	Closed int `json:"closed"`
	Forced int `json:"forced"`
}

// DrainRequest is the optional JSON body of POST PathDrain.
type DrainRequest struct {
	Reason string `json:"reason,omitempty"`
	// TimeoutSeconds replaces the configured drain timeout; 0 keeps it. A drain that is under way
	// keeps its deadline.
	TimeoutSeconds int `json:"timeoutSeconds,omitempty"`
}
