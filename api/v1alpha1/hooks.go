package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// URL is the URL of a backend, with http or https. It must not contain credentials: everyone with read access to the
// WebSocketCluster can see it.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?([/?][^# ]*)?$') && isURL(self) && (url(self).getPort().size() == 0 || (int(url(self).getPort()) >= 1 && int(url(self).getPort()) <= 65535))",message="must be an http or https URL without credentials and fragment, such as https://app.example.com/path"
type URL string

// HooksSpec configures the backends that gateways call with HTTP POST, and wait for.
type HooksSpec struct {
	// connect is the backend that decides whether a client may connect, and that may name its user. If it is not set,
	// gateways do not ask.
	// +optional
	Connect *HookSpec `json:"connect,omitempty"`

	// subscribe is the backend that decides whether a client may subscribe to a channel. If it is not set, gateways do
	// not ask.
	// +optional
	Subscribe *HookSpec `json:"subscribe,omitempty"`

	// publish is the backend that decides whether a client may publish a message. If it is not set, gateways do not ask.
	// +optional
	Publish *HookSpec `json:"publish,omitempty"`

	// rpc is the backend that answers the RPC calls of clients. If it is not set, gateways refuse RPC calls.
	// +optional
	RPC *RPCHookSpec `json:"rpc,omitempty"`

	// refresh is the backend that decides whether a client may stay when its time is over. While it does not answer, it is
	// asked again. If it is not set, clients need a new token, or are asked about by the connect hook when they are back.
	// +optional
	Refresh *RefreshHookSpec `json:"refresh,omitempty"`

	// subRefresh is the backend that decides whether a subscription may go on when its time is over. While it does not
	// answer, it is asked again. If it is not set, clients need a new subscription token.
	// +optional
	SubRefresh *RefreshHookSpec `json:"subRefresh,omitempty"`

	// timeout is how long a backend may take to answer, as a duration from 10ms to 30s. After it, whenDown applies.
	// Defaults to 1s.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('10ms') && duration(self) <= duration('30s')",message="must be a duration from 10ms to 30s, such as 500ms or 2s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// secretRef selects the key of a Secret that holds the signing secret of hooks and webhooks in the format of Standard
	// Webhooks: whsec_ and at least 24 bytes in base64. During a change it holds two secrets with a space between them.
	// If it is not set, requests are not signed. The Secret's key defaults to hook-secret. A change of the Secret rolls
	// the gateways.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// forwardHeaders are the names of headers of a client's handshake that are sent to the connect hook, at most 32.
	// Example: Cookie.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^[A-Za-z0-9_-]+$') && !h.lowerAscii().matches('^((content|proxy|sec-websocket|webhook)-.*|accept-encoding|connection|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$'))",message="each must be a header name, such as Cookie or X-Request-Id; headers of the connection and of the hook's own request are not allowed, such as Host, Upgrade, Content-* and Webhook-*"
	ForwardHeaders []string `json:"forwardHeaders,omitempty"`
}

// HookWhenDown is how a client is answered while a hook's backend does not answer.
//
// +kubebuilder:validation:Enum=Refuse;Allow
type HookWhenDown string

// The values of HookWhenDown.
const (
	// HookRefuse refuses what the client asks for.
	HookRefuse HookWhenDown = "Refuse"
	// HookAllow lets the client go on as if there were no hook.
	HookAllow HookWhenDown = "Allow"
)

// HookSpec configures a backend that decides whether a client may do something.
type HookSpec struct {
	// url is the URL of the backend.
	// +required
	URL URL `json:"url"`

	// whenDown is how a client is answered while the backend does not answer: Refuse, or Allow as if there were no hook.
	// Defaults to Refuse.
	// +optional
	// +kubebuilder:default=Refuse
	WhenDown HookWhenDown `json:"whenDown,omitempty"`
}

// RPCHookSpec configures the backend that answers the RPC calls of clients.
type RPCHookSpec struct {
	// url is the URL of the backend.
	// +required
	URL URL `json:"url"`
}

// RefreshHookSpec configures a backend that extends the time of clients or subscriptions.
type RefreshHookSpec struct {
	// url is the URL of the backend.
	// +required
	URL URL `json:"url"`
}

// WebhookEvent is a kind of event that a backend can receive.
//
// +kubebuilder:validation:Enum=connected;disconnected;occupied;vacated
type WebhookEvent string

// The values of WebhookEvent.
const (
	// WebhookConnected is sent when a client connects.
	WebhookConnected WebhookEvent = "connected"
	// WebhookDisconnected is sent when a client's connection ends.
	WebhookDisconnected WebhookEvent = "disconnected"
	// WebhookOccupied is sent when a channel gets its first subscriber.
	WebhookOccupied WebhookEvent = "occupied"
	// WebhookVacated is sent when a channel loses its last subscriber.
	WebhookVacated WebhookEvent = "vacated"
)

// WebhooksSpec configures the backend that receives events of the fleet.
type WebhooksSpec struct {
	// url is the URL of the backend.
	// +required
	URL URL `json:"url"`

	// events are the kinds of events that the backend receives: connected and disconnected for clients, occupied when a
	// channel gets its first subscriber, and vacated when it loses its last one. Defaults to all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	Events []WebhookEvent `json:"events,omitempty"`
}
