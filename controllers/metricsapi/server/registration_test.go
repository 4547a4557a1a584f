package server

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/wsfleet/wsfleet/controllers/metricsapi"
)

var testRegistration = registration{
	namespace:   "wsfleet-system",
	port:        443,
	authorities: []byte("pem"),
	owner: metav1.OwnerReference{
		APIVersion: "rbac.authorization.k8s.io/v1",
		Kind:       "ClusterRole",
		Name:       "r",
		UID:        "u",
	},
}

// registered returns the APIService of testRegistration after some changes.
func registered(changes ...func(*apiregistrationv1.APIService)) apiregistrationv1.APIService {
	a := apiregistrationv1.APIService{ObjectMeta: metav1.ObjectMeta{Name: metricsapi.APIServiceName}}
	testRegistration.apply(&a)
	for _, change := range changes {
		change(&a)
	}
	return a
}

// of makes the APIService name another Service.
func of(namespace, name string) func(*apiregistrationv1.APIService) {
	return func(a *apiregistrationv1.APIService) {
		a.Spec.Service.Namespace, a.Spec.Service.Name = namespace, name
	}
}

// olderVersion makes the APIService that of v1beta1.
func olderVersion(a *apiregistrationv1.APIService) {
	a.Name, a.Spec.Version = "v1beta1."+metricsapi.GroupName, "v1beta1"
}

func serviceNotFound(a *apiregistrationv1.APIService) {
	a.Status.Conditions = []apiregistrationv1.APIServiceCondition{{
		Type:   apiregistrationv1.Available,
		Status: apiregistrationv1.ConditionFalse,
		Reason: reasonServiceNotFound,
	}}
}

func TestDecide(t *testing.T) {
	adapter := registered(of("monitoring", "prometheus-adapter"))
	for name, c := range map[string]struct {
		existing []apiregistrationv1.APIService
		want     step
	}{
		"no server is registered":     {nil, stepCreate},
		"our own is as it should be":  {[]apiregistrationv1.APIService{registered()}, stepNone},
		"an adapter owns our version": {[]apiregistrationv1.APIService{adapter}, stepNone},
		"an adapter owns another one": {[]apiregistrationv1.APIService{registered(of("m", "adapter"), olderVersion)},
			stepNone},
		"an adapter came beside our own": {
			[]apiregistrationv1.APIService{registered(), registered(of("m", "adapter"), olderVersion)}, stepWithdraw},
		"the certificate is another one": {
			[]apiregistrationv1.APIService{
				registered(func(a *apiregistrationv1.APIService) { a.Spec.CABundle = []byte("old") })},
			stepUpdate},
		"the owner was installed anew": {
			[]apiregistrationv1.APIService{
				registered(func(a *apiregistrationv1.APIService) { a.OwnerReferences[0].UID = "old" })},
			stepUpdate},
		"TLS verification was turned off": {[]apiregistrationv1.APIService{registered(func(a *apiregistrationv1.APIService) {
			a.Spec.CABundle, a.Spec.InsecureSkipTLSVerify = nil, true
		})}, stepUpdate},
		"labels of others are kept": {
			[]apiregistrationv1.APIService{registered(func(a *apiregistrationv1.APIService) { a.Labels["team"] = "x" })},
			stepNone},
		"another installation answers": {[]apiregistrationv1.APIService{registered(of("elsewhere", metricsapi.Name))},
			stepNone},
		"another installation was removed": {
			[]apiregistrationv1.APIService{registered(of("elsewhere", metricsapi.Name), serviceNotFound)}, stepUpdate},
		"an adapter's Service was removed": {
			[]apiregistrationv1.APIService{registered(of("m", "adapter"), serviceNotFound)}, stepNone},
		"our own Service is not there (yet)": {[]apiregistrationv1.APIService{registered(serviceNotFound)}, stepNone},
	} {
		t.Run(name, func(t *testing.T) {
			next, current := decide(c.existing, testRegistration)
			assert.Equal(t, c.want, next)
			if next == stepUpdate || next == stepWithdraw {
				assert.Equal(t, metricsapi.APIServiceName, current.Name)
			}
		})
	}
}

func TestRegistrationKeepsNamespacesDeletable(t *testing.T) {
	a := registered()
	assert.Equal(t, []metav1.OwnerReference{testRegistration.owner}, a.OwnerReferences, "removed by an uninstall")
	assert.Equal(t, []byte("pem"), a.Spec.CABundle)
	assert.False(t, a.Spec.InsecureSkipTLSVerify)
}
