// Package contract declares what the operator and the gateway agree on: ports, paths, places of files,
// configuration keys and the JSON of the private port. It has no logic, so that controllers can import it
// without the gateway's code.
package contract

import (
	"encoding/json"
	"time"
)

// Ports of a gateway and their names on the container.
const (
	// PublicPort is the TCP port for clients and for the server API. Its name tells gateways with TLS from those without.
	PublicPort        = 8080
	PublicPortName    = "ws"
	PublicTLSPortName = "wss"
	// AdminPort is the TCP port for the operator, for probes and for Prometheus.
	AdminPort     = 9090
	AdminPortName = "admin"
)

// Paths of the public port.
const (
	// PathPlain accepts WebSocket clients without a client library.
	PathPlain = "/ws"
	// PathCentrifuge accepts clients of the Centrifuge protocol.
	PathCentrifuge = "/connection/websocket"
	// PathAPI is the prefix of the server API, which backends call. The private port has it too, for callers with a token.
	PathAPI = "/api/"
)

// Paths of the private port that answer every caller. None of them returns data of clients.
const (
	// PathLivez answers 200 as long as the process runs.
	PathLivez = "/livez"
	// PathReadyz answers 200 when clients should connect to the gateway, else 503.
	PathReadyz = "/readyz"
	// PathMetrics returns Prometheus metrics.
	PathMetrics = "/metrics"
	// PathConsole is the prefix of the web console's static files.
	PathConsole = "/console/"
)

// Paths of the private port that are guarded: they need one of the bearer tokens when tokens are configured,
// and answer only callers on loopback when none are.
const (
	// PathFleet returns a GatewayReport.
	PathFleet = "/fleet"
	// PathDrain takes a DrainRequest, starts a drain and returns a GatewayReport.
	PathDrain = "/drain"
	// PathUndrain ends a drain and returns a GatewayReport.
	PathUndrain = "/undrain"
	// PathConnections returns a ConnectionList of the open connections that its parameters select.
	PathConnections = "/connections"
	// PathTail streams the publications of one channel: TailLines as JSON, one a line.
	PathTail = "/tail"
	// PathLogLevel returns a LogLevel, and changes the level with PUT.
	PathLogLevel = "/log-level"
	// PathPprof is the prefix of the Go profiles.
	PathPprof = "/debug/pprof/"
)

// Parameters of PathConnections. Those that are not given select all connections.
const (
	// ParamUser, ParamChannel and ParamProtocol select the connections of a user, the subscribers of a channel, and the
	// connections that speak a protocol.
	ParamUser     = "user"
	ParamChannel  = "channel"
	ParamProtocol = "protocol"
	// ParamIP selects the connections from an address, or from a network such as 10.0.0.0/8.
	ParamIP = "ip"
	// ParamSort is the order: SortAge, which is the default, SortUser, SortIP or SortQueued.
	ParamSort = "sort"
	// ParamLimit is the maximum number of connections in the answer, from 1 to MaxListed.
	ParamLimit = "limit"
)

// Values of ParamSort.
const (
	// SortAge is the oldest connection first.
	SortAge  = "age"
	SortUser = "user"
	SortIP   = "ip"
	// SortQueued is the connection first for which most waits to be written.
	SortQueued = "queued"
)

// MaxListed is the maximum number of connections in one ConnectionList.
const MaxListed = 1000

// ParamHistory is the parameter of PathTail, beside ParamChannel, that says how many of the channel's latest
// publications come first, from 0 to MaxTailHistory.
const ParamHistory = "history"

// MaxTailHistory is the maximum of ParamHistory.
const MaxTailHistory = 1000

// TailInterval is the time after which an answer of PathTail has an empty line when there is no other one, so that the
// reader sees that the gateway is there.
const TailInterval = 15 * time.Second

// HeaderNode is the response header of a WebSocket handshake that names the gateway which accepted it. In a
// cluster that is the name of the pod.
const HeaderNode = "Wsfleet-Node"

// Names of the metrics that an autoscaler can read. The metrics API of the operator serves each for a WebSocketCluster,
// and MetricConnections for a pod as well.
const (
	// MetricConnections is the number of open client connections: of one gateway, whose gauge has this name, or of a whole
	// fleet, draining gateways included.
	MetricConnections = "websocket_connections"
	// MetricConnectionsMaxRatio is the number of connections of the fullest serving gateway divided by its maximum, from 0
	// to 1.
	MetricConnectionsMaxRatio = "websocket_connections_max_ratio"
	// MetricConnectRate is the number of connections that a fleet accepts per second.
	MetricConnectRate = "websocket_connect_rate"
)

// Places inside the gateway container.
const (
	// Binary is the gateway's executable. The preStop hook runs `Binary drain`.
	Binary = "/wsfleet-gateway"
	// ConfigFile is where the operator mounts the configuration.
	ConfigFile = "/etc/wsfleet/config/gateway.yaml"
	// AdminTokenDir is where the operator mounts the admin Secret. Every file in it whose name does not begin
	// with a dot holds one valid bearer token. During a rotation two tokens are valid.
	AdminTokenDir = "/etc/wsfleet/admin" //nolint:gosec // a directory, no credential
	// AdminTokenKey is the key of the admin Secret whose token the operator itself uses.
	AdminTokenKey = "token"
	// TLSDir is where the operator mounts the Secret of the certificate. Its type is kubernetes.io/tls, so it
	// has the keys TLSCertKey and TLSPrivateKey.
	TLSDir        = "/etc/wsfleet/tls"
	TLSCertKey    = "tls.crt"
	TLSPrivateKey = "tls.key"
)

// EnvPrefix begins the names of all environment variables that configure a gateway.
const EnvPrefix = "WSFLEET_"

// Configuration keys. A key is at once the flag (--max-connections), the key in the configuration file
// (max-connections: 10000) and, in upper case after EnvPrefix, the environment variable
// (WSFLEET_MAX_CONNECTIONS). A flag wins over the environment, the environment over the file. Package
// gateway/config declares the type, unit, default and bounds of each.
const (
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
	KeyConnectionsPerUserPolicy = "connections-per-user-policy"
	KeyConnectRate              = "connect-rate"
	KeyMaxMessageBytes          = "max-message-bytes"
	KeyMessageRate              = "message-rate"
	KeyMaxQueuedBytes           = "max-queued-bytes"
	KeyMaxTotalQueuedBytes      = "max-total-queued-bytes"
	KeyMaxChannelsPerConnection = "max-channels-per-connection"
	KeyHandshakeTimeout         = "handshake-timeout"
	KeyRefusalDelay             = "refusal-delay"
	KeyConnectTimeout           = "connect-timeout"
	KeyPingInterval             = "ping-interval"
	KeyPongTimeout              = "pong-timeout"
	KeyCompression              = "compression"
	KeyChannels                 = "channels"
	KeyPersonalChannels         = "personal-channels"
	KeyPresenceTTL              = "presence-ttl"
	KeyPresenceGrace            = "presence-grace"
	KeyTLSCertFile              = "tls-cert-file"
	KeyTLSKeyFile               = "tls-key-file"
	KeyPublicHealth             = "public-health"
	KeyHTTPIdleTimeout          = "http-idle-timeout"
	KeyAllowedOrigins           = "allowed-origins"
	KeyOriginAnyPort            = "origin-any-port"
	KeyTrustedProxies           = "trusted-proxies"
	KeyProxyProtocol            = "proxy-protocol"
	KeyAffinityCookie           = "affinity-cookie"
	KeyAffinityCookiePath       = "affinity-cookie-path"
	KeyAffinityCookieValue      = "affinity-cookie-value"
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
	KeyHookRefreshURL           = "hook-refresh-url"
	KeyHookSubRefreshURL        = "hook-sub-refresh-url"
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
	KeyDrainCloseCode           = "drain-close-code"
)

// Values of KeyBroker.
const (
	// BrokerMemory connects the clients of one process only.
	BrokerMemory = "memory"
	// BrokerRedis connects all gateways that use the same Redis and KeyRedisPrefix.
	BrokerRedis = "redis"
)

// Values of KeyRedisMode.
const (
	RedisStandalone = "standalone"
	RedisSentinel   = "sentinel"
	RedisCluster    = "cluster"
)

// Minimum lengths of secrets.
const (
	// MinJWTKeyBytes is the minimum length in bytes of a shared key that tokens are signed with (HS256, RFC
	// 7518 section 3.2). A public key in PEM is always longer.
	MinJWTKeyBytes = 32
	// MinHookSecretBytes is the minimum length in bytes of a secret that hooks are signed with: whsec_ and 24
	// bytes in base64.
	MinHookSecretBytes = 38
)

// Values of KeyConnectionsPerUserPolicy: what makes room for a user's connection above the limit.
const (
	// PerUserCloseOldest closes the user's oldest connection.
	PerUserCloseOldest = "CloseOldest"
	// PerUserRefuse refuses the new connection, whose client may come back.
	PerUserRefuse = "Refuse"
)

// Values of the keys that end in -when-down: how the gateway answers a client while the backend of the hook
// does not answer.
const (
	HookRefuse = "Refuse"
	HookAllow  = "Allow"
)

// Values of KeyProxyProtocol: whether connections of trusted proxies begin with a PROXY protocol header.
const (
	ProxyProtocolDisabled = "Disabled"
	ProxyProtocolOptional = "Optional"
	ProxyProtocolRequired = "Required"
)

// AffinityName stands for the name of the gateway in the value of KeyAffinityCookieValue.
const AffinityName = "{name}"

// Values of KeyWebhookEvents.
const (
	// WebhookConnected is a client that connected, WebhookDisconnected one that left.
	WebhookConnected    = "connected"
	WebhookDisconnected = "disconnected"
	// WebhookOccupied is a channel that got its first subscriber, WebhookVacated one that lost its last.
	WebhookOccupied = "occupied"
	WebhookVacated  = "vacated"
)

// State is the stage of a gateway's life.
type State string

// A gateway serves, then drains, then is drained. An undrain takes it from draining or drained back to serving.
const (
	StateServing  State = "serving"
	StateDraining State = "draining"
	StateDrained  State = "drained"
)

// BrokerState is the state of a gateway's connection to its broker.
type BrokerState string

// States of the connection to the broker.
const (
	// BrokerReady is a gateway that exchanges messages with the others.
	BrokerReady BrokerState = "ready"
	// BrokerConnecting is a gateway that has not reached its broker since it started.
	BrokerConnecting BrokerState = "connecting"
	// BrokerDegraded is a gateway that reached its broker and lost it.
	BrokerDegraded BrokerState = "degraded"
)

// BrokerReason says why a broker is not ready.
type BrokerReason string

const (
	// BrokerUnreachable is a broker that does not answer, or over which messages do not come back.
	BrokerUnreachable BrokerReason = "Unreachable"
	// BrokerCredentialsRefused is a broker that answers and refuses the gateway's user name or password, or wants them.
	BrokerCredentialsRefused BrokerReason = "CredentialsRefused"
)

// GatewayReport is the answer to GET PathFleet: all that the operator knows of one gateway.
type GatewayReport struct {
	// Node is the gateway's name: the pod's name in a cluster.
	Node string `json:"node"`
	// Version is the gateway's release.
	Version string `json:"version"`
	State   State  `json:"state"`
	// Connections is the number of open client connections.
	Connections int `json:"connections"`
	// MaxConnections is the maximum number of connections that the gateway holds.
	MaxConnections int `json:"maxConnections"`
	// ConnectRate is the number of connections that the gateway accepted per second in the last minute, on average. It is
	// nil in reports of gateways of older versions, which do not count it.
	ConnectRate *float64 `json:"connectRate,omitempty"`
	// RejectRate is the number of times per second that the gateway turned a client away in the last minute, on average,
	// because it does not let it in or cannot find out whether it may: by its token, its origin, its channels, the backend
	// or the broker. It is nil in reports of gateways of older versions.
	RejectRate *float64 `json:"rejectRate,omitempty"`
	// CrowdRate is the number of handshakes per second that the gateway refused in the last minute, on average, because
	// more came than it accepts at once. It is nil in reports of gateways of older versions.
	CrowdRate *float64     `json:"crowdRate,omitempty"`
	Broker    BrokerReport `json:"broker"`
	// UptimeSeconds is how long the gateway has been running. It is 0 in reports of gateways of older versions.
	UptimeSeconds float64 `json:"uptimeSeconds,omitempty"`
	// PartialDrain is the last partial drain that is over, or nil when there was none.
	PartialDrain *PartialDrainReport `json:"partialDrain,omitempty"`
	// Drain is nil unless the gateway drains or is drained.
	Drain *DrainReport `json:"drain,omitempty"`
}

// BrokerReport describes the connection of one gateway to its broker.
type BrokerReport struct {
	// Kind is BrokerMemory or BrokerRedis.
	Kind  string      `json:"kind"`
	State BrokerState `json:"state"`
	// Reason says why State is not ready. It is empty when State is ready, and in reports of gateways of older versions,
	// which do not know it: there it means BrokerUnreachable.
	Reason BrokerReason `json:"reason,omitempty"`
	// Error is the last error of a broker that is not ready. It names addresses, never credentials.
	Error string `json:"error,omitempty"`
}

// Sheds reports whether the gateway sends a part of its clients to the others, and serves again after that.
func (r GatewayReport) Sheds() bool {
	return r.State == StateDraining && r.Drain != nil && r.Drain.Keep > 0
}

// DrainReport describes the drain that a gateway is in, or that it has finished.
type DrainReport struct {
	// Reason is the reason of the request that started the drain.
	Reason    string    `json:"reason"`
	StartedAt time.Time `json:"startedAt"`
	// Deadline is when the gateway closes all connections that are left.
	Deadline time.Time `json:"deadline"`
	// Closed is the number of connections that were closed one after the other before the deadline.
	Closed int `json:"closed"`
	// Forced is the number of connections that were left at the deadline and closed at once.
	Forced int `json:"forced"`
	// ClosesPerSecond is the number of connections that the gateway closes per second once it closes any. It is 0 when
	// none is left, and in reports of gateways of older versions.
	ClosesPerSecond float64 `json:"closesPerSecond,omitempty"`
	// SecondsLeft is for how many seconds the gateway may still close connections until its deadline, without the time
	// before it begins. It is 0 from the deadline on, and in reports of gateways of older versions.
	SecondsLeft float64 `json:"secondsLeft,omitempty"`
	// Keep is the number of connections that a partial drain leaves open: the gateway serves again as soon as no more are
	// left, or at the deadline, at which it closes none. It is 0 for a drain of all connections.
	Keep int `json:"keep,omitempty"`
	// WaitsForAnother reports that the gateway stays ready and closes no connection, because it does not know that another
	// gateway serves. Gateways of older versions never wait.
	WaitsForAnother bool `json:"waitsForAnother,omitempty"`
}

// PartialDrainReport describes a partial drain that is over.
type PartialDrainReport struct {
	// SecondsAgo is how long ago it ended.
	SecondsAgo float64 `json:"secondsAgo"`
	// Reached reports that no more connections were left than it was to keep.
	Reached bool `json:"reached"`
}

// Maxima of a DrainRequest.
const (
	// MaxDrainTimeout is that of TimeoutSeconds.
	MaxDrainTimeout = 24 * time.Hour
	// MaxClosesPerSecond is that of ClosesPerSecond.
	MaxClosesPerSecond = 1_000_000
)

// DrainRequest is the optional JSON body of POST PathDrain.
type DrainRequest struct {
	// Reason is for logs and for the report.
	Reason string `json:"reason,omitempty"`
	// TimeoutSeconds replaces the configured drain timeout. 0 keeps it. A drain that is under way keeps its
	// deadline.
	TimeoutSeconds int `json:"timeoutSeconds,omitempty"`
	// HandOver asks the gateway not to wait until another one of its fleet serves: one does, or none is to come.
	HandOver bool `json:"handOver,omitempty"`
	// JoinOnly asks for no new drain: a gateway that serves answers 409 and serves on.
	JoinOnly bool `json:"joinOnly,omitempty"`
	// ServeAgain asks the gateway to serve again when its process still runs 30 seconds after the deadline, as it does
	// when the operator that wanted to delete it is gone. A later request without it that is not JoinOnly takes it back.
	ServeAgain bool `json:"serveAgain,omitempty"`
	// ClosesPerSecond is the number of connections that the gateway closes per second from now on in this drain, within
	// the configured maximum. 0 changes nothing: without any such request, the closes are spread over the whole drain.
	ClosesPerSecond float64 `json:"closesPerSecond,omitempty"`
	// Keep asks for a partial drain, which leaves so many connections open. 0 asks for a drain of all connections, which
	// takes the place of a partial one that is under way.
	Keep int `json:"keep,omitempty"`
}

// ConnectionList is the answer to GET PathConnections.
type ConnectionList struct {
	// Total is the number of open connections of the gateway.
	Total int `json:"total"`
	// Selected is the number of them that the parameters select. It is nil in answers of gateways of older versions, which
	// know no parameter but ParamLimit.
	Selected *int `json:"selected,omitempty"`
	// Connections are the first ones of these in the order of ParamSort.
	Connections []Connection `json:"connections"`
}

// Connection is one client in a ConnectionList.
type Connection struct {
	ID string `json:"id"`
	// User is empty for an anonymous client.
	User string `json:"user,omitempty"`
	// Protocol is the name of the client's protocol.
	Protocol string `json:"protocol"`
	// RemoteIP is the client's address, behind trusted proxies the one that they report.
	RemoteIP    string    `json:"remoteIP"`
	Channels    []string  `json:"channels"`
	ConnectedAt time.Time `json:"connectedAt"`
	// QueuedBytes is the size of what waits to be written to the client.
	QueuedBytes int `json:"queuedBytes"`
}

// TailLine is one line of the answer to GET PathTail. One of its fields is set.
type TailLine struct {
	// Started is the first line.
	Started     *TailStarted     `json:"started,omitempty"`
	Publication *TailPublication `json:"publication,omitempty"`
	// Ended says why the line is the last one.
	Ended string `json:"ended,omitempty"`
}

// TailStarted says that everything that is published from now on follows.
type TailStarted struct {
	Channel string `json:"channel"`
	// History is the number of publications of the channel's history that come first.
	History int `json:"history,omitempty"`
	// Offset and Epoch are the position in the channel's stream. They are zero in a channel without history.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
}

// TailPublication is a publication of a channel. It has Data or B64Data, as it was published.
type TailPublication struct {
	Data    json.RawMessage `json:"data,omitempty"`
	B64Data []byte          `json:"b64data,omitempty"`
	// Offset and Epoch are zero in a channel without history.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
	// Client and User are those of the client that published. They are empty when the backend did.
	Client string            `json:"client,omitempty"`
	User   string            `json:"user,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// LogLevel is the JSON body of PUT PathLogLevel and of the answers of that path.
type LogLevel struct {
	// Level is a name of package loglevel.
	Level string `json:"level"`
}
