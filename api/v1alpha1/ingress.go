package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IngressProfile is the set of annotations that makes an ingress controller keep a client on its
// gateway and its idle connection open.
//
// +kubebuilder:validation:Enum=Auto;nginx;none
type IngressProfile string

// The profiles. Auto takes the one of the IngressClass's controller.
const (
	IngressProfileAuto  IngressProfile = "Auto"
	IngressProfileNginx IngressProfile = "nginx"
	IngressProfileNone  IngressProfile = "none"
)

// IngressSpec is the Ingress that leads clients from outside to the gateways.
type IngressSpec struct {
	// className is the IngressClass; by default the cluster's default one.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClassName *string `json:"className,omitempty"`

	// hosts that clients connect to; without any the Ingress takes every host.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",message="each must be a host name in lower case without scheme, port or path, such as ws.example.com or *.example.com"
	Hosts []string `json:"hosts,omitempty"`

	// path prefix that the Ingress leads to the gateways. The gateways see it unchanged and serve
	// /ws, /connection/websocket and /api.
	// +optional
	// +kubebuilder:default=/
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[A-Za-z0-9/._~-]*$')",message="must begin with / and have only letters, digits, '/', '.', '_', '~' and '-'"
	Path string `json:"path,omitempty"`

	// tls certificates, a Secret per set of hosts. With any, clients connect with wss.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	TLS []IngressTLS `json:"tls,omitempty"`

	// profile of annotations; Auto takes the one of the IngressClass's controller.
	// +optional
	// +kubebuilder:default=Auto
	Profile IngressProfile `json:"profile,omitempty"`

	// cookie by which the ingress controller keeps a client on its gateway.
	// +optional
	// +kubebuilder:default={}
	Cookie CookieSpec `json:"cookie,omitzero"`

	// idleTimeout after which the ingress controller cuts a silent connection. Pings keep it busy, so
	// it must be longer than gateway.pingInterval.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('2s') && duration(self) <= duration('168h')",message="must be a duration from 2s to 168h, such as 10m or 1h"
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`

	// annotations added to the Ingress; they win over the profile's.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('wsfleet.dev/'))",message="the prefix wsfleet.dev/ is the operator's own: use other annotation names"
	Annotations map[string]string `json:"annotations,omitempty"`
}

// IngressTLS is a certificate and the hosts that it is for.
type IngressTLS struct {
	// hosts in the certificate.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	Hosts []string `json:"hosts,omitempty"`

	// secretName of the certificate; without one the ingress controller's default is used.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

// SameSite is when a browser sends a cookie along from another site.
//
// +kubebuilder:validation:Enum=Strict;Lax;None
type SameSite string

// The values of SameSite.
const (
	SameSiteStrict SameSite = "Strict"
	SameSiteLax    SameSite = "Lax"
	SameSiteNone   SameSite = "None"
)

// CookieSpec is the cookie by which an ingress controller keeps a client on its gateway.
//
// +kubebuilder:validation:XValidation:rule="!has(self.sameSite) || self.sameSite != 'None' || (has(self.secure) && self.secure)",message="browsers refuse SameSite=None without Secure: set spec.ingress.cookie.secure to true, or sameSite to Lax or Strict",fieldPath=".secure"
type CookieSpec struct {
	// name of the cookie; by default wsc- and a hash of the cluster's namespace and name.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[A-Za-z0-9_-]+$')",message="must have only letters, digits, '_' and '-'"
	Name string `json:"name,omitempty"`

	// maxAge of the cookie; by default it lasts as long as the browser's session.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('1s') && duration(self) <= duration('8760h')",message="must be a duration from 1s to 8760h, such as 1h or 48h"
	MaxAge *metav1.Duration `json:"maxAge,omitempty"`

	// sameSite of the cookie.
	// +optional
	// +kubebuilder:default=Lax
	SameSite SameSite `json:"sameSite,omitempty"`

	// secure sends the cookie over TLS only; by default true when spec.ingress.tls is set.
	// +optional
	Secure *bool `json:"secure,omitempty"`
}
