package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// GatewayAPISpec configures the HTTPRoute that routes clients outside the cluster to the gateways, by the Gateway API.
type GatewayAPISpec struct {
	// parentRefs are the Gateways that the route attaches to, 1 to 16.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	ParentRefs []GatewayReference `json:"parentRefs"`

	// hostnames are the host names that clients connect to, at most 16. If there are none, the route accepts every host
	// of the Gateways' listeners.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",message="each must be a host name in lower case without scheme, port or path, such as ws.example.com or *.example.com"
	Hostnames []string `json:"hostnames,omitempty"`

	// path is the path prefix that the route takes to the gateways, at most 256 characters. The gateways receive the path
	// unchanged and serve /ws, /connection/websocket and /api. Defaults to /.
	// +optional
	// +kubebuilder:default=/
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[A-Za-z0-9/._~-]*$')",message="must begin with / and have only letters, digits, '/', '.', '_', '~' and '-'"
	Path string `json:"path,omitempty"`

	// sessionPersistence is where a cookie that keeps each client on its gateway is configured: Route, in the HTTPRoute
	// itself, as the experimental channel of Gateway API 1.1 to 1.6 has it; Backend, in an XBackend, as that of 1.7 has
	// it; Auto, where the installed definitions have it, or nowhere; or Off. Defaults to Auto.
	// +optional
	// +kubebuilder:default=Auto
	SessionPersistence SessionPersistence `json:"sessionPersistence,omitempty"`

	// cookie configures the cookie of session persistence. The Gateway API has no setting for its attributes SameSite and
	// Secure.
	// +optional
	// +kubebuilder:default={}
	Cookie SessionCookieSpec `json:"cookie,omitzero"`
}

// GatewayReference names a Gateway, or one of its listeners.
type GatewayReference struct {
	// name is the name of the Gateway, 1 to 253 characters.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// namespace is the namespace of the Gateway, 1 to 63 characters. Its listeners must allow routes from the
	// WebSocketCluster's namespace. Defaults to the WebSocketCluster's namespace.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`

	// sectionName is the name of a listener, 1 to 253 characters. If it is not set, the route attaches to all listeners
	// that allow it.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	SectionName string `json:"sectionName,omitempty"`

	// port is the port of the listeners that the route attaches to, 1 to 65535. If it is not set, every port will do.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port *int32 `json:"port,omitempty"`
}

// SessionPersistence is where the cookie that keeps each client on its gateway is configured.
//
// +kubebuilder:validation:Enum=Auto;Route;Backend;Off
type SessionPersistence string

// The values of SessionPersistence.
const (
	// SessionPersistenceAuto configures it where the installed definitions of the Gateway API have it, or nowhere.
	SessionPersistenceAuto SessionPersistence = "Auto"
	// SessionPersistenceRoute configures it in the HTTPRoute.
	SessionPersistenceRoute SessionPersistence = "Route"
	// SessionPersistenceBackend configures it in an XBackend.
	SessionPersistenceBackend SessionPersistence = "Backend"
	// SessionPersistenceOff configures none.
	SessionPersistenceOff SessionPersistence = "Off"
)

// SessionCookieSpec configures the cookie of session persistence.
type SessionCookieSpec struct {
	// name is the name of the cookie, at most 64 letters, digits, '_' and '-'. Defaults to wsc- and a hash of the
	// WebSocketCluster's namespace and name.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="must have only letters, digits, '_' and '-'"
	Name string `json:"name,omitempty"`

	// maxAge is how long the browser keeps the cookie, as a duration from 1s to 8760h. If it is not set, the cookie ends
	// with the browser's session.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be a duration from 1s to 8760h, such as 1h or 48h"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`
}
