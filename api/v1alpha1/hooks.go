package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// URL of a backend. Anybody who may read the WebSocketCluster reads it: it holds no credentials.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.matches('^https?://([A-Za-z0-9._-]+|[[][0-9A-Fa-f:.]+[]])(:[0-9]{1,5})?([/?][^# ]*)?$') && isURL(self) && (url(self).getPort().size() == 0 || (int(url(self).getPort()) >= 1 && int(url(self).getPort()) <= 65535))",message="must be an http or https URL without credentials and fragment, such as https://app.example.com/path"
type URL string

// HooksSpec are backends that the gateways ask. Each is asked by an HTTP POST, and answers in time or
// does not count.
type HooksSpec struct {
	// connect is asked whether a client may connect, and who it is.
	// +optional
	Connect *HookSpec `json:"connect,omitempty"`

	// subscribe is asked whether a client may subscribe to a channel.
	// +optional
	Subscribe *HookSpec `json:"subscribe,omitempty"`

	// publish is asked whether a client may publish a message.
	// +optional
	Publish *HookSpec `json:"publish,omitempty"`

	// rpc answers the calls of clients; without it they are refused.
	// +optional
	RPC *RPCHookSpec `json:"rpc,omitempty"`

	// timeout in which a backend must answer.
	// +optional
	// +kubebuilder:default="1s"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('10ms') && duration(self) <= duration('30s')",message="must be a duration from 10ms to 30s, such as 500ms or 2s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// secretRef names the secret that hooks and webhooks are signed with, whsec_ and at least 24 bytes in
	// base64 as Standard Webhooks writes it; two with a space between them while they change. Without
	// one they are not signed. A changed Secret rolls the gateways. By default the Secret's key is
	// hook-secret.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// forwardHeaders of a client's request that the connect hook gets too, such as Cookie.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^[A-Za-z0-9_-]+$') && !h.lowerAscii().matches('^((content|proxy|sec-websocket|webhook)-.*|accept-encoding|connection|expect|host|keep-alive|te|trailer|transfer-encoding|upgrade)$'))",message="each must be the name of a header, such as Cookie or X-Request-Id, and none that belongs to the connection or to the hook's own request, such as Host, Upgrade, Content-* and Webhook-*"
	ForwardHeaders []string `json:"forwardHeaders,omitempty"`
}

// HookWhenDown is what clients are answered while a hook's backend does not answer.
//
// +kubebuilder:validation:Enum=Refuse;Allow
type HookWhenDown string

// The values of HookWhenDown.
const (
	HookRefuse HookWhenDown = "Refuse"
	HookAllow  HookWhenDown = "Allow"
)

// HookSpec is a backend that decides whether a client may do something.
type HookSpec struct {
	// url of the backend.
	// +required
	URL URL `json:"url"`

	// whenDown is what clients are answered while the backend does not answer: Refuse, or Allow as if
	// there were no hook.
	// +optional
	// +kubebuilder:default=Refuse
	WhenDown HookWhenDown `json:"whenDown,omitempty"`
}

// RPCHookSpec is a backend that answers the calls of clients.
type RPCHookSpec struct {
	// url of the backend.
	// +required
	URL URL `json:"url"`
}

// WebhookEvent is something that a backend can be told of.
//
// +kubebuilder:validation:Enum=connected;disconnected;occupied;vacated
type WebhookEvent string

// The values of WebhookEvent.
const (
	WebhookConnected    WebhookEvent = "connected"
	WebhookDisconnected WebhookEvent = "disconnected"
	WebhookOccupied     WebhookEvent = "occupied"
	WebhookVacated      WebhookEvent = "vacated"
)

// WebhooksSpec is a backend that is told what happened.
type WebhooksSpec struct {
	// url of the backend.
	// +required
	URL URL `json:"url"`

	// events that it is told of: clients that are connected and disconnected, channels that are occupied
	// by their first subscriber and vacated by their last. By default all.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4
	Events []WebhookEvent `json:"events,omitempty"`
}
