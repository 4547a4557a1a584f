package metricsapi

import (
	"slices"

	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// OwnerKind says which server answers the custom metrics API.
type OwnerKind string

const (
	// OwnerNone means that the group is not registered, so that no server answers it.
	OwnerNone OwnerKind = "none"
	// OwnerBuiltIn means that wsfleet's own metrics API answers.
	OwnerBuiltIn OwnerKind = "built-in"
	// OwnerForeign means that another server answers, such as prometheus-adapter.
	OwnerForeign OwnerKind = "foreign"
	// OwnerUnknown means that a server is registered and does not answer the one question that the operator may ask.
	OwnerUnknown OwnerKind = "unknown"
)

// Owner is the server that answers the custom metrics API.
type Owner struct {
	Kind OwnerKind
	// APIService is the name of the APIService that names the owner. It is empty for OwnerNone, and where the owner is
	// known by discovery alone.
	APIService string
	// Service is the Service that the API server passes requests on to. Its name is empty for OwnerNone, and where the
	// API server answers the group itself, as it does for a CustomResourceDefinition.
	Service types.NamespacedName
}

// String returns the owner as a message names it: its Service, or its APIService where it has none.
func (o Owner) String() string {
	switch {
	case o.Kind == OwnerNone:
		return "no server"
	case o.Kind == OwnerUnknown:
		return "a server that does not answer"
	case o.APIService == "" && o.Kind == OwnerBuiltIn:
		return "wsfleet's metrics API"
	case o.APIService == "":
		return "another server than wsfleet's"
	case o.Service.Name == "":
		return "the API server itself (APIService " + o.APIService + ")"
	default:
		return "Service " + o.Service.String() + " (APIService " + o.APIService + ")"
	}
}

// OwnerOf returns the owner of the custom metrics API. apiServices may have other groups' APIServices, which are passed
// over. A cluster has one custom metrics API: where a single version of the group is foreign, the owner is foreign,
// because an autoscaler reads either all metrics from one version or all from the other.
func OwnerOf(apiServices []apiregistrationv1.APIService) Owner {
	owner := Owner{Kind: OwnerNone}
	for i := range apiServices {
		apiService := &apiServices[i]
		if apiService.Spec.Group != GroupName {
			continue
		}
		found := ownerOfOne(apiService)
		if found.Kind == OwnerForeign {
			return found
		}
		owner = found
	}
	return owner
}

// OwnerByDiscovery returns the owner as discovery shows it: resources has the names of what each version of the custom
// metrics API serves. As OwnerOf does, it takes the owner for foreign where a single version is.
func OwnerByDiscovery(resources map[string][]string) Owner {
	owner := Owner{Kind: OwnerNone}
	for _, names := range resources {
		if !slices.Contains(names, builtInResource) {
			return Owner{Kind: OwnerForeign}
		}
		owner.Kind = OwnerBuiltIn
	}
	return owner
}

// ownerOfOne returns the owner of one version of the group. The label alone does not make an APIService wsfleet's own:
// an adapter that is applied over it changes the Service and leaves the label.
func ownerOfOne(apiService *apiregistrationv1.APIService) Owner {
	owner := Owner{Kind: OwnerForeign, APIService: apiService.Name}
	service := apiService.Spec.Service
	if service == nil {
		return owner
	}
	owner.Service = types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	if service.Name == Name && apiService.Labels[labelManagedBy] == valueManagedBy {
		owner.Kind = OwnerBuiltIn
	}
	return owner
}
