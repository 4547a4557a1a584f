package render

import (
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// The kinds of other projects, which a cluster may lack.
var (
	kindHTTPRoute = schema.GroupVersionKind{Group: "gateway.networking.k8s.io", Version: "v1", Kind: "HTTPRoute"}
	kindXBackend  = schema.GroupVersionKind{
		Group:   "gateway.networking.x-k8s.io",
		Version: "v1alpha1",
		Kind:    "XBackend",
	}
	kindPodMonitor     = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PodMonitor"}
	kindPrometheusRule = schema.GroupVersionKind{Group: "monitoring.coreos.com", Version: "v1", Kind: "PrometheusRule"}
)

// OptionalKind is a kind of another project. A cluster has it while its CustomResourceDefinition is installed.
type OptionalKind struct {
	// Kind has the version in which the operator writes the objects.
	Kind schema.GroupVersionKind
	// Definition is the name of the CustomResourceDefinition.
	Definition string
	// SessionPersistence is where the schema may have the field with the cookie that keeps each client on its gateway: the
	// names of the fields, with "[]" for the items of a list. It is nil for a kind that has none.
	SessionPersistence []string
}

// OptionalKinds returns the kinds of other projects that a fleet can have objects of.
func OptionalKinds() []OptionalKind {
	return []OptionalKind{
		{
			Kind:               kindHTTPRoute,
			Definition:         "httproutes." + kindHTTPRoute.Group,
			SessionPersistence: []string{"spec", "rules", "[]", "sessionPersistence"},
		},
		{
			Kind:               kindXBackend,
			Definition:         "xbackends." + kindXBackend.Group,
			SessionPersistence: []string{"spec", "sessionPersistence"},
		},
		{Kind: kindPodMonitor, Definition: "podmonitors." + kindPodMonitor.Group},
		{Kind: kindPrometheusRule, Definition: "prometheusrules." + kindPrometheusRule.Group},
	}
}

// IsOptional reports whether a cluster may lack the kind.
func IsOptional(kind schema.GroupVersionKind) bool {
	return slices.ContainsFunc(OptionalKinds(), func(one OptionalKind) bool { return one.Kind == kind })
}

// Installed has the optional kinds that the cluster has.
type Installed map[schema.GroupVersionKind]Features

// Features are what the schema of an installed kind can express.
type Features struct {
	// SessionPersistence is the shape of the field of OptionalKind.SessionPersistence.
	SessionPersistence PersistenceShape
}

// PersistenceShape is how a schema of the Gateway API names the cookie of session persistence.
type PersistenceShape string

// The values of PersistenceShape. Each but PersistenceNone is the name of a field.
const (
	// PersistenceNone is a schema without session persistence, such as those of the standard channel.
	PersistenceNone PersistenceShape = ""
	// PersistenceBySessionName is the shape of Gateway API 1.1 to 1.6: sessionName and cookieConfig.
	PersistenceBySessionName PersistenceShape = "sessionName"
	// PersistenceByCookie is the shape since Gateway API 1.7: cookie, with its name.
	PersistenceByCookie PersistenceShape = "cookie"
)

// Has reports whether the cluster has the kind. It has every kind that is not optional.
func (i Installed) Has(kind schema.GroupVersionKind) bool {
	_, installed := i[kind]
	return installed || !IsOptional(kind)
}

// WantsOptional reports whether the spec can have objects of optional kinds.
func WantsOptional(spec v1alpha1.WebSocketClusterSpec) bool {
	return spec.GatewayAPI != nil || spec.Monitoring.PodMonitor != v1alpha1.MonitoringDisabled ||
		spec.Monitoring.Rules != v1alpha1.MonitoringDisabled
}
