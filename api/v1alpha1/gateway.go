package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GatewaySpec configures the gateways: their limits, channels, authentication and hooks.
//
// +kubebuilder:validation:XValidation:rule="!has(self.pingInterval) || !has(self.pongTimeout) || !self.pongTimeout.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.pingInterval.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.pongTimeout) < duration(self.pingInterval)",message="must be shorter than spec.gateway.pingInterval: lower spec.gateway.pongTimeout or raise spec.gateway.pingInterval",fieldPath=".pongTimeout"
// +kubebuilder:validation:XValidation:rule="!has(self.maxQueuedBytes) || !has(self.maxMessageBytes) || self.maxQueuedBytes >= self.maxMessageBytes",message="must not be less than spec.gateway.maxMessageBytes, or the largest message would not fit: raise spec.gateway.maxQueuedBytes or lower spec.gateway.maxMessageBytes",fieldPath=".maxQueuedBytes"
// +kubebuilder:validation:XValidation:rule="!has(self.maxTotalQueuedBytes) || !has(self.maxQueuedBytes) || self.maxTotalQueuedBytes >= self.maxQueuedBytes",message="must not be less than spec.gateway.maxQueuedBytes, the queue of one client: raise spec.gateway.maxTotalQueuedBytes or lower spec.gateway.maxQueuedBytes",fieldPath=".maxTotalQueuedBytes"
// +kubebuilder:validation:XValidation:rule="!has(self.auth) || !has(self.auth.anonymous) || self.auth.anonymous || has(self.auth.jwt) || (has(self.hooks) && has(self.hooks.connect))",message="requires tokens or a connect hook, or no client could connect: set spec.gateway.auth.jwt or spec.gateway.hooks.connect, or set spec.gateway.auth.anonymous to true",fieldPath=".auth.anonymous"
// +kubebuilder:validation:XValidation:rule="!has(self.proxyProtocol) || self.proxyProtocol == 'Disabled' || (has(self.trustedProxies) && size(self.trustedProxies) > 0)",message="requires the networks of the proxies, because headers from elsewhere are refused: set spec.gateway.trustedProxies, or set spec.gateway.proxyProtocol to Disabled",fieldPath=".proxyProtocol"
type GatewaySpec struct {
	// maxConnections is the maximum number of connections that one gateway holds, 1 to 10000000. A full gateway answers
	// handshakes with 503 and Retry-After. Defaults to 10000.
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// maxConnectionsPerIP is the maximum number of connections that one gateway holds from one client address, 0 to
	// 10000000. All addresses of an IPv6 /64 count as one. Above it, the gateway answers handshakes with 429 and
	// Retry-After. 0 means no limit. Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	MaxConnectionsPerIP *int32 `json:"maxConnectionsPerIP,omitempty"`

	// maxConnectionsPerUser is the maximum number of connections that one gateway holds of one user, 0 to 10000000. It
	// applies to clients whose token or connect hook names a user. connectionsPerUserPolicy is what happens above it. 0
	// means no limit. Defaults to 0.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	MaxConnectionsPerUser *int32 `json:"maxConnectionsPerUser,omitempty"`

	// connectionsPerUserPolicy is what a gateway does when a user has maxConnectionsPerUser connections and connects
	// once more. CloseOldest closes the oldest connection with 1008 (Centrifuge 3504, after which SDKs stay away). Refuse
	// answers the new handshake with 429 and Retry-After, and closes a new Centrifuge connection with 4009, after which
	// SDKs come back: until a ping finds it out, a connection whose client is gone keeps the user out. Defaults to
	// CloseOldest.
	// +optional
	// +kubebuilder:default=CloseOldest
	ConnectionsPerUserPolicy ConnectionsPerUserPolicy `json:"connectionsPerUserPolicy,omitempty"`

	// connectRate is the maximum number of new connections that one gateway accepts per second, 0 to 1000000. Above it,
	// the gateway answers handshakes with 503 and Retry-After. 0 means no limit. Defaults to 500.
	// +optional
	// +kubebuilder:default=500
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	ConnectRate *int32 `json:"connectRate,omitempty"`

	// maxMessageBytes is the maximum size in bytes of a message from a client or from the server API, and of each command
	// in a Centrifuge frame, 1 to 67108864. A larger message from a client closes its connection with 1009. Defaults to
	// 65536.
	// +optional
	// +kubebuilder:default=65536
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=67108864
	MaxMessageBytes *int32 `json:"maxMessageBytes,omitempty"`

	// messageRate is the maximum number of messages that one client may send per second, 0 to 1000000. Above it, the
	// gateway closes the connection with 1008 (Centrifuge 4008). 0 means no limit. Defaults to 100.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MessageRate *int32 `json:"messageRate,omitempty"`

	// maxQueuedBytes is the maximum number of bytes that wait to be sent to one client, 1 to 1073741824. It must not be
	// less than maxMessageBytes. When a client's queue is full, the slowConsumer of the channel's rule decides;
	// Disconnect closes the connection with 1008 (Centrifuge 3008). Defaults to 1048576.
	// +optional
	// +kubebuilder:default=1048576
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	MaxQueuedBytes *int32 `json:"maxQueuedBytes,omitempty"`

	// maxTotalQueuedBytes is the maximum number of bytes that wait to be sent to all clients of one gateway together, 1
	// to 1099511627776. It must not be less than maxQueuedBytes. Above it, clients that do not keep up are treated as if
	// their own queues were full. Large messages that clients send may take half of it. Defaults to 268435456, or to
	// maxQueuedBytes if that is more.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1099511627776
	MaxTotalQueuedBytes *int64 `json:"maxTotalQueuedBytes,omitempty"`

	// maxChannelsPerConnection is the maximum number of channels that one connection subscribes to, 1 to 100000. One more
	// subscription is refused with Centrifuge error 106; a plain handshake that asks for more is answered 400. Defaults
	// to 128.
	// +optional
	// +kubebuilder:default=128
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxChannelsPerConnection *int32 `json:"maxChannelsPerConnection,omitempty"`

	// handshakeTimeout is how long a client may take to complete its handshake request, as a duration from 1s to 10m.
	// After it, the gateway closes the connection. Defaults to 10s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be a duration from 1s to 10m, such as 5s or 1m"
	HandshakeTimeout *metav1.Duration `json:"handshakeTimeout,omitempty"`

	// refusalDelay is the maximum time that the gateway waits before it answers a handshake that it refuses because it is
	// full, over connectRate or draining, as a duration from 0s to 10s. This slows down clients that come back at once. 0s
	// answers at once. Defaults to 3s.
	// +optional
	// +kubebuilder:default="3s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('0s') && duration(self) <= duration('10s')",message="must be a duration from 0s to 10s, such as 3s or 500ms"
	RefusalDelay *metav1.Duration `json:"refusalDelay,omitempty"`

	// connectTimeout is how long a Centrifuge client may take to send its connect command, as a duration from 1s to 10m.
	// After it, the gateway closes the connection with 3502. Defaults to 10s.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be a duration from 1s to 10m, such as 5s or 1m"
	ConnectTimeout *metav1.Duration `json:"connectTimeout,omitempty"`

	// pingInterval is the time between two pings to a client, as a duration from 1s to 1h. Defaults to 25s.
	// +optional
	// +kubebuilder:default="25s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be a duration from 1s to 1h, such as 25s or 1m30s"
	PingInterval *metav1.Duration `json:"pingInterval,omitempty"`

	// pongTimeout is how long a client may take to answer a ping, as a duration from 1ms to 1h. It must be shorter than
	// pingInterval. After it, the gateway closes the connection with 1008 (Centrifuge 3012). Defaults to 8s.
	// +optional
	// +kubebuilder:default="8s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')",message="must be a duration from 1ms to 1h, such as 8s or 500ms"
	PongTimeout *metav1.Duration `json:"pongTimeout,omitempty"`

	// compression is whether messages are compressed (permessage-deflate) for clients that offer it. Compression costs
	// CPU. Defaults to false.
	// +optional
	// +kubebuilder:default=false
	Compression *bool `json:"compression,omitempty"`

	// channels are the rules for channels, at most 64. The first rule whose pattern matches the name of a channel
	// applies. A channel that matches no rule has the defaults of a rule.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(other, other.pattern == r.pattern))",message="two rules have the same pattern, and the second never applies: remove one of them"
	Channels []ChannelRule `json:"channels,omitempty"`

	// personalChannels is whether each client that has a user is subscribed to the channel "#USER" when it connects, and
	// whether "#" in the name of a channel stands before the users that the channel belongs to, with commas between them:
	// only these may subscribe to dialog#42,43, whatever the channel's rule says. Defaults to false.
	// +optional
	// +kubebuilder:default=false
	PersonalChannels *bool `json:"personalChannels,omitempty"`

	// presence configures how long members stay in channels after their connection or their gateway is gone. It applies
	// to channels whose rule sets presence.
	// +optional
	// +kubebuilder:default={}
	Presence PresenceSpec `json:"presence,omitzero"`

	// tls configures the certificate of the gateways. If it is set, the gateways accept only TLS (wss). If it is not set,
	// TLS ends in front of the gateways, at an Ingress or a load balancer.
	// +optional
	TLS *GatewayTLS `json:"tls,omitempty"`

	// allowedOrigins are the origins that browsers may connect from in addition to the gateway's own, at most 256.
	// Examples: https://app.example.com, https://*.example.com, capacitor://localhost, and * for every origin. file:// and
	// null are what browsers send for pages without a host, such as a local file. Any site can make such a page, so
	// clients should need a token then. Other origins are answered 403.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.all(o, o == '*' || o == 'null' || o == 'file://' || o.matches('^[a-z][a-z0-9+.-]*://([*][.])?[A-Za-z0-9.-]+(:[0-9]{1,5})?$') || o.matches('^https?://[[][0-9A-Fa-f:.]+[]](:[0-9]{1,5})?$'))",message="each origin must be scheme://host[:port] without a path, such as https://app.example.com, https://*.example.com, or *"
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`

	// originAnyPort is whether pages of the gateway's own host may connect from every port if the Host header has no
	// port, for a proxy that removes the port. Defaults to false.
	// +optional
	// +kubebuilder:default=false
	OriginAnyPort *bool `json:"originAnyPort,omitempty"`

	// trustedProxies are the networks in CIDR form of the proxies whose header X-Forwarded-For, or Forwarded without it,
	// is trusted to name the client, at most 64. Example: 10.0.0.0/8.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(c, isCIDR(c))",message="each must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	TrustedProxies []string `json:"trustedProxies,omitempty"`

	// proxyProtocol is whether connections of trustedProxies begin with a PROXY protocol header, version 1 or 2: Disabled
	// refuses such headers, Optional reads them, and Required refuses connections of trustedProxies without one. A header
	// from elsewhere is always refused. Defaults to Disabled.
	// +optional
	// +kubebuilder:default=Disabled
	ProxyProtocol ProxyProtocol `json:"proxyProtocol,omitempty"`

	// affinityCookie is the cookie by which a proxy of your own routes clients to gateways. It must not be set together
	// with spec.ingress, unless its profile is none, or with spec.gatewayAPI, unless its sessionPersistence is Off: they
	// have cookies of their own.
	// +optional
	AffinityCookie *AffinityCookie `json:"affinityCookie,omitempty"`

	// publicHealth is whether gateways answer /livez and /readyz on the port for clients too, for load balancers that
	// check only that port. Defaults to false.
	// +optional
	// +kubebuilder:default=false
	PublicHealth *bool `json:"publicHealth,omitempty"`

	// httpIdleTimeout is how long an HTTP connection to the server API may be without a request, as a duration from 1s to
	// 1h. It should be longer than the load balancer keeps such connections. Defaults to 75s.
	// +optional
	// +kubebuilder:default="75s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be a duration from 1s to 1h, such as 75s or 620s"
	HTTPIdleTimeout *metav1.Duration `json:"httpIdleTimeout,omitempty"`

	// auth configures which clients may connect and which backends may call the server API.
	// +optional
	// +kubebuilder:default={}
	Auth AuthSpec `json:"auth,omitzero"`

	// hooks are the backends that gateways call before a client may connect, subscribe or publish, and for RPC calls of
	// clients.
	// +optional
	Hooks *HooksSpec `json:"hooks,omitempty"`

	// webhooks configures the backend that receives events of the fleet. Requests are signed with
	// spec.gateway.hooks.secretRef.
	// +optional
	Webhooks *WebhooksSpec `json:"webhooks,omitempty"`
}

// ConnectionsPerUserPolicy is what a gateway does when a user has too many connections.
//
// +kubebuilder:validation:Enum=CloseOldest;Refuse
type ConnectionsPerUserPolicy string

// The values of ConnectionsPerUserPolicy.
const (
	// ConnectionsPerUserCloseOldest closes the user's oldest connection to the gateway.
	ConnectionsPerUserCloseOldest ConnectionsPerUserPolicy = "CloseOldest"
	// ConnectionsPerUserRefuse refuses the new connection.
	ConnectionsPerUserRefuse ConnectionsPerUserPolicy = "Refuse"
)

// AffinityCookie is the cookie by which a proxy keeps each client on its gateway. A gateway expires it when it sends a
// client elsewhere.
type AffinityCookie struct {
	// name is the name of the cookie, 1 to 64 letters, digits, '_' and '-'.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]*$')",message="must have only letters, digits, '_' and '-'"
	Name string `json:"name"`

	// path is the path of the cookie, at most 256 characters. Defaults to /.
	// +optional
	// +kubebuilder:default=/
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[A-Za-z0-9/._~-]*$')",message="must begin with / and have only letters, digits, '/', '.', '_', '~' and '-'"
	Path string `json:"path,omitempty"`

	// value is what gateways set the cookie to when they accept a client, at most 64 characters. {name} in it stands for
	// the name of the pod: {name} for HAProxy and nginx, .{name} for Apache. If it is not set, the proxy sets the cookie.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9._~:-]*[{]name[}][A-Za-z0-9._~:-]*$')",message="must have {name} once, and otherwise only letters, digits, '.', '_', '~', ':' and '-'"
	Value string `json:"value,omitempty"`
}

// ProxyProtocol is whether connections of trusted proxies begin with a PROXY protocol header.
//
// +kubebuilder:validation:Enum=Disabled;Optional;Required
type ProxyProtocol string

// The values of ProxyProtocol.
const (
	// ProxyProtocolDisabled refuses every header.
	ProxyProtocolDisabled ProxyProtocol = "Disabled"
	// ProxyProtocolOptional reads the header of a connection that begins with one.
	ProxyProtocolOptional ProxyProtocol = "Optional"
	// ProxyProtocolRequired refuses connections of trusted proxies without a header.
	ProxyProtocolRequired ProxyProtocol = "Required"
)

// GatewayTLS configures the certificate of the gateways.
type GatewayTLS struct {
	// secretName is the name of a Secret of type kubernetes.io/tls in the WebSocketCluster's namespace. Gateways load a
	// changed certificate without a restart, and keep their connections.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`
}
