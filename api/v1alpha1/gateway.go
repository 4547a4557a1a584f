package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GatewaySpec is how each gateway treats its clients.
//
// +kubebuilder:validation:XValidation:rule="!has(self.pingInterval) || !has(self.pongTimeout) || !self.pongTimeout.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || !self.pingInterval.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') || duration(self.pongTimeout) < duration(self.pingInterval)",message="must be shorter than spec.gateway.pingInterval: lower spec.gateway.pongTimeout or raise spec.gateway.pingInterval",fieldPath=".pongTimeout"
// +kubebuilder:validation:XValidation:rule="!has(self.maxQueuedBytes) || !has(self.maxMessageBytes) || self.maxQueuedBytes >= self.maxMessageBytes",message="must hold at least one message of spec.gateway.maxMessageBytes: raise spec.gateway.maxQueuedBytes or lower spec.gateway.maxMessageBytes",fieldPath=".maxQueuedBytes"
// +kubebuilder:validation:XValidation:rule="!has(self.maxTotalQueuedBytes) || !has(self.maxQueuedBytes) || self.maxTotalQueuedBytes >= self.maxQueuedBytes",message="must hold at least the queue of one client: raise spec.gateway.maxTotalQueuedBytes or lower spec.gateway.maxQueuedBytes",fieldPath=".maxTotalQueuedBytes"
// +kubebuilder:validation:XValidation:rule="!has(self.auth) || !has(self.auth.anonymous) || self.auth.anonymous || has(self.auth.jwt) || (has(self.hooks) && has(self.hooks.connect))",message="without tokens and without a connect hook nobody could connect: set spec.gateway.auth.jwt or spec.gateway.hooks.connect, or set spec.gateway.auth.anonymous to true",fieldPath=".auth.anonymous"
type GatewaySpec struct {
	// maxConnections that one gateway holds; a full one answers 503.
	// +optional
	// +kubebuilder:default=10000
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000000
	MaxConnections *int32 `json:"maxConnections,omitempty"`

	// maxConnectionsPerIP that one gateway holds of one client address; 0 is no limit.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	MaxConnectionsPerIP *int32 `json:"maxConnectionsPerIP,omitempty"`

	// maxConnectionsPerUser that one user has open; 0 is no limit. It is for clients with a token, or
	// whom the connect hook knows.
	// +optional
	// +kubebuilder:default=0
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	MaxConnectionsPerUser *int32 `json:"maxConnectionsPerUser,omitempty"`

	// connectRate is how many new connections one gateway takes per second; above it it answers 503.
	// 0 is no limit.
	// +optional
	// +kubebuilder:default=500
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	ConnectRate *int32 `json:"connectRate,omitempty"`

	// maxMessageBytes of one message from a client; a larger one ends the connection.
	// +optional
	// +kubebuilder:default=65536
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=67108864
	MaxMessageBytes *int32 `json:"maxMessageBytes,omitempty"`

	// messageRate is how many messages one client may send per second; one that sends more is
	// disconnected. 0 is no limit.
	// +optional
	// +kubebuilder:default=100
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000000
	MessageRate *int32 `json:"messageRate,omitempty"`

	// maxQueuedBytes that wait for one client; a client slower than that is disconnected.
	// +optional
	// +kubebuilder:default=1048576
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1073741824
	MaxQueuedBytes *int32 `json:"maxQueuedBytes,omitempty"`

	// maxTotalQueuedBytes that wait for all clients of one gateway together; beyond it, slow clients
	// are treated as if their own queues were full. By default 256 MiB, or maxQueuedBytes where that
	// is more.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1099511627776
	MaxTotalQueuedBytes *int64 `json:"maxTotalQueuedBytes,omitempty"`

	// maxChannelsPerConnection that one client subscribes to.
	// +optional
	// +kubebuilder:default=128
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100000
	MaxChannelsPerConnection *int32 `json:"maxChannelsPerConnection,omitempty"`

	// handshakeTimeout in which a client's request must be complete.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be a duration from 1s to 10m, such as 5s or 1m"
	HandshakeTimeout *metav1.Duration `json:"handshakeTimeout,omitempty"`

	// connectTimeout that a Centrifuge client has for its first command.
	// +optional
	// +kubebuilder:default="10s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="must be a duration from 1s to 10m, such as 5s or 1m"
	ConnectTimeout *metav1.Duration `json:"connectTimeout,omitempty"`

	// pingInterval between two pings to a client.
	// +optional
	// +kubebuilder:default="25s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="must be a duration from 1s to 1h, such as 25s or 1m30s"
	PingInterval *metav1.Duration `json:"pingInterval,omitempty"`

	// pongTimeout after a ping without an answer, after which the client is dropped.
	// +optional
	// +kubebuilder:default="8s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1ms') && duration(self) <= duration('1h')",message="must be a duration from 1ms to 1h, such as 8s or 500ms"
	PongTimeout *metav1.Duration `json:"pongTimeout,omitempty"`

	// compression of messages for clients that offer it. It costs processor time.
	// +optional
	// +kubebuilder:default=false
	Compression *bool `json:"compression,omitempty"`

	// channels are rules for channels, by name: the first rule whose pattern matches wins. A channel
	// that none matches has the defaults of a rule.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(other, other.pattern == r.pattern))",message="two rules have the same pattern, and the second would never apply: remove one of them"
	Channels []ChannelRule `json:"channels,omitempty"`

	// presence is how long members of channels that have presence outlive what held them.
	// +optional
	// +kubebuilder:default={}
	Presence PresenceSpec `json:"presence,omitzero"`

	// tls is the certificate of the gateways themselves. With one they speak wss, and nothing else;
	// without one TLS is for what is in front of them.
	// +optional
	TLS *GatewayTLS `json:"tls,omitempty"`

	// allowedOrigins of browsers besides the gateway's own: https://app.example.com,
	// https://*.example.com, or * for all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=300
	// +kubebuilder:validation:XValidation:rule="self.all(o, o == '*' || o.matches('^https?://([*][.])?[A-Za-z0-9.-]+(:[0-9]{1,5})?$') || o.matches('^https?://[[][0-9A-Fa-f:.]+[]](:[0-9]{1,5})?$'))",message="each origin must be scheme://host[:port] without a path, such as https://app.example.com, https://*.example.com, or *"
	AllowedOrigins []string `json:"allowedOrigins,omitempty"`

	// trustedProxies are the networks whose X-Forwarded-For header names the client.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.all(c, isCIDR(c))",message="each must be a network in CIDR form, such as 10.0.0.0/8 or fd00::/8 (one address: 10.1.2.3/32)"
	TrustedProxies []string `json:"trustedProxies,omitempty"`

	// auth is who may connect, and who may call the server API.
	// +optional
	// +kubebuilder:default={}
	Auth AuthSpec `json:"auth,omitzero"`

	// hooks are backends that the gateways ask before they let clients do something.
	// +optional
	Hooks *HooksSpec `json:"hooks,omitempty"`

	// webhooks tell a backend what happened. They are signed with spec.gateway.hooks.secretRef.
	// +optional
	Webhooks *WebhooksSpec `json:"webhooks,omitempty"`
}

// GatewayTLS is the certificate that gateways present.
type GatewayTLS struct {
	// secretName of a Secret of type kubernetes.io/tls in the WebSocketCluster's namespace. The
	// gateways read it again when it changes, and keep their connections.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName"`
}
