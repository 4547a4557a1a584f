package server

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
)

// Priorities of the APIService. They order groups and versions in discovery, and are those that adapters use.
const (
	groupPriority   = 100
	versionPriority = 200
)

// reasonServiceNotFound is the reason of an APIService's condition Available when its Service does not exist.
const reasonServiceNotFound = "ServiceNotFound"

// registration is what this installation registers with the API server.
type registration struct {
	// namespace and port are those of the Service.
	namespace string
	port      int32
	// authorities are the certificates that the API server trusts, as PEM.
	authorities []byte
	// owner is the object with which the APIService is removed.
	owner metav1.OwnerReference
}

// apply sets what this installation owns of apiService, and keeps the rest.
func (r registration) apply(apiService *apiregistrationv1.APIService) {
	if apiService.Labels == nil {
		apiService.Labels = map[string]string{}
	}
	maps.Copy(apiService.Labels, metricsapi.APIServiceLabels())
	apiService.OwnerReferences = []metav1.OwnerReference{r.owner}
	apiService.Spec = apiregistrationv1.APIServiceSpec{
		Service: &apiregistrationv1.ServiceReference{
			Namespace: r.namespace,
			Name:      metricsapi.Name,
			Port:      new(r.port),
		},
		Group:                metricsapi.GroupName,
		Version:              metricsapi.Version,
		CABundle:             r.authorities,
		GroupPriorityMinimum: groupPriority,
		VersionPriority:      versionPriority,
	}
}

// step is what the registrar does next.
type step string

const (
	// stepNone leaves everything as it is.
	stepNone step = "none"
	// stepCreate creates the APIService.
	stepCreate step = "create"
	// stepUpdate brings the APIService in line with the registration.
	stepUpdate step = "update"
	// stepWithdraw deletes the APIService, because another server of this API was installed beside it.
	stepWithdraw step = "withdraw"
)

// decide returns the next step, and the APIService of ours that it concerns, which is nil for stepCreate. existing are
// the APIServices of the cluster.
func decide(existing []apiregistrationv1.APIService, own registration) (step, *apiregistrationv1.APIService) {
	owner := metricsapi.OwnerOf(existing)
	current := find(existing)
	switch {
	case owner.Kind == metricsapi.OwnerForeign && current != nil:
		return stepWithdraw, current
	case owner.Kind == metricsapi.OwnerForeign:
		return stepNone, nil
	case current == nil:
		return stepCreate, nil
	case owner.Service.Namespace != own.namespace && !serviceIsGone(current):
		// Another installation of wsfleet answers.
		return stepNone, nil
	}
	wanted := current.DeepCopy()
	own.apply(wanted)
	if equality.Semantic.DeepEqual(current, wanted) {
		return stepNone, nil
	}
	return stepUpdate, current
}

// find returns the APIService of this program among existing, whichever installation made it, or nil.
func find(existing []apiregistrationv1.APIService) *apiregistrationv1.APIService {
	i := slices.IndexFunc(existing, func(a apiregistrationv1.APIService) bool {
		return a.Name == metricsapi.APIServiceName &&
			metricsapi.OwnerOf([]apiregistrationv1.APIService{a}).Kind == metricsapi.OwnerBuiltIn
	})
	if i < 0 {
		return nil
	}
	return &existing[i]
}

// serviceIsGone reports whether the API server finds no Service for apiService: its installation was removed, and left
// the APIService.
func serviceIsGone(apiService *apiregistrationv1.APIService) bool {
	return slices.ContainsFunc(apiService.Status.Conditions, func(c apiregistrationv1.APIServiceCondition) bool {
		return c.Type == apiregistrationv1.Available && c.Status == apiregistrationv1.ConditionFalse &&
			c.Reason == reasonServiceNotFound
	})
}
