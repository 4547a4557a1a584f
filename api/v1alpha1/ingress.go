package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IngressProfile is a set of annotations that tells an ingress controller to keep each client on its gateway and idle
// connections open.
//
// +kubebuilder:validation:Enum=Auto;nginx;traefik;haproxy;haproxy-ingress;alb;f5-nginx;none
type IngressProfile string

// The values of IngressProfile. controllers/render has a file for each profile with annotations.
const (
	// IngressProfileAuto selects the profile of the IngressClass's controller, or none.
	IngressProfileAuto IngressProfile = "Auto"
	// IngressProfileNginx is for ingress-nginx.
	IngressProfileNginx IngressProfile = "nginx"
	// IngressProfileTraefik is for Traefik.
	IngressProfileTraefik IngressProfile = "traefik"
	// IngressProfileHAProxy is for the ingress controller of HAProxy Technologies.
	IngressProfileHAProxy IngressProfile = "haproxy"
	// IngressProfileHAProxyIngress is for the community's haproxy-ingress.
	IngressProfileHAProxyIngress IngressProfile = "haproxy-ingress"
	// IngressProfileALB is for the Application Load Balancers of the AWS Load Balancer Controller.
	IngressProfileALB IngressProfile = "alb"
	// IngressProfileF5NGINX is for F5's NGINX Ingress Controller.
	IngressProfileF5NGINX IngressProfile = "f5-nginx"
	// IngressProfileNone adds no annotations.
	IngressProfileNone IngressProfile = "none"
)

// IngressSpec configures the Ingress that routes clients outside the cluster to the gateways.
type IngressSpec struct {
	// className is the name of the IngressClass. If it is not set, the cluster's default IngressClass is used.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	ClassName *string `json:"className,omitempty"`

	// hosts are the host names that clients connect to, at most 64. If there are none, the Ingress accepts every host.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(h, h.matches('^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$'))",message="each must be a host name in lower case without scheme, port or path, such as ws.example.com or *.example.com"
	Hosts []string `json:"hosts,omitempty"`

	// path is the path prefix that the Ingress routes to the gateways, at most 256 characters. The gateways receive the
	// path unchanged and serve /ws, /connection/websocket and /api. Defaults to /.
	// +optional
	// +kubebuilder:default=/
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="self.matches('^/[A-Za-z0-9/._~-]*$')",message="must begin with / and have only letters, digits, '/', '.', '_', '~' and '-'"
	Path string `json:"path,omitempty"`

	// tls are the certificates of the Ingress, a Secret for each set of hosts, at most 64. Clients of these hosts connect
	// with wss.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	TLS []IngressTLS `json:"tls,omitempty"`

	// profile is the set of annotations for the ingress controller: nginx for ingress-nginx; traefik; haproxy for HAProxy
	// Technologies' controller; haproxy-ingress for the community's; alb for the AWS Load Balancer Controller; f5-nginx
	// for F5's NGINX Ingress Controller; none; or Auto for the profile of the IngressClass's controller. Defaults to Auto.
	// +optional
	// +kubebuilder:default=Auto
	Profile IngressProfile `json:"profile,omitempty"`

	// cookie configures the cookie with which the ingress controller keeps a client on its gateway.
	// +optional
	// +kubebuilder:default={}
	Cookie CookieSpec `json:"cookie,omitzero"`

	// idleTimeout is how long the ingress controller keeps a connection without traffic open, as a duration from 2s to
	// 168h. Pings are traffic, so it must be longer than spec.gateway.pingInterval. Defaults to 1h.
	// +optional
	// +kubebuilder:default="1h"
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=16
	// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]{1,6}([.][0-9]{1,3})?(ms|s|m|h))+$') && duration(self) >= duration('2s') && duration(self) <= duration('168h')",message="must be a duration from 2s to 168h, such as 10m or 1h"
	IdleTimeout *metav1.Duration `json:"idleTimeout,omitempty"`

	// annotations are added to the Ingress, at most 64. They override the profile's annotations. The prefix wsfleet.dev/
	// is reserved.
	// +optional
	// +kubebuilder:validation:XValidation:rule="['nginx.ingress.kubernetes.io/session-cookie-name', 'haproxy-ingress.github.io/session-cookie-name'].all(k, !(k in self) || self[k].matches('^[!#$%&*+.^_|~0-9A-Za-z-]+$'))",message="nginx.ingress.kubernetes.io/session-cookie-name and haproxy-ingress.github.io/session-cookie-name must be names of cookies: letters, digits, '-' and '_', or set spec.ingress.cookie.name instead"
	// +kubebuilder:validation:XValidation:rule="!('nginx.ingress.kubernetes.io/session-cookie-path' in self) || self['nginx.ingress.kubernetes.io/session-cookie-path'].matches('^/[!-:<-~]*$')",message="nginx.ingress.kubernetes.io/session-cookie-path must begin with / and have no space and no ';'"
	Annotations Annotations `json:"annotations,omitempty"`
}

// IngressTLS is a certificate and the hosts that it is for.
type IngressTLS struct {
	// hosts are the host names of the certificate, at most 64.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=253
	Hosts []string `json:"hosts,omitempty"`

	// secretName is the name of the Secret with the certificate. If it is not set, the ingress controller's default
	// certificate is used.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SecretName string `json:"secretName,omitempty"`
}

// SameSite is when a browser sends the cookie in requests from another site.
//
// +kubebuilder:validation:Enum=Strict;Lax;None
type SameSite string

// The values of SameSite.
const (
	// SameSiteStrict never sends the cookie from another site.
	SameSiteStrict SameSite = "Strict"
	// SameSiteLax sends the cookie only when the user follows a link from another site.
	SameSiteLax SameSite = "Lax"
	// SameSiteNone always sends the cookie. It requires Secure.
	SameSiteNone SameSite = "None"
)

// CookieSpec configures the cookie with which an ingress controller keeps a client on its gateway.
//
// +kubebuilder:validation:XValidation:rule="!has(self.sameSite) || self.sameSite != 'None' || (has(self.secure) && self.secure)",message="browsers refuse SameSite=None without Secure: set spec.ingress.cookie.secure to true, or sameSite to Lax or Strict",fieldPath=".secure"
type CookieSpec struct {
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

	// sameSite is when a browser sends the cookie in requests from another site: Strict, Lax or None. None requires
	// secure. Defaults to Lax.
	// +optional
	// +kubebuilder:default=Lax
	SameSite SameSite `json:"sameSite,omitempty"`

	// secure is whether browsers send the cookie over TLS only. Defaults to true if spec.ingress.tls is set, else to
	// false.
	// +optional
	Secure *bool `json:"secure,omitempty"`
}
