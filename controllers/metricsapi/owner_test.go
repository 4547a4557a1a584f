package metricsapi

import (
	"testing"

	"github.com/stretchr/testify/assert"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// apiService returns an APIService whose requests go to service. An empty service stands for the API server itself.
func apiService(version, group, service string, labels map[string]string) apiregistrationv1.APIService {
	a := apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: version + "." + group, Labels: labels},
		Spec:       apiregistrationv1.APIServiceSpec{Group: group, Version: version},
	}
	if service != "" {
		a.Spec.Service = &apiregistrationv1.ServiceReference{Namespace: "system", Name: service}
	}
	return a
}

func list(all ...apiregistrationv1.APIService) []apiregistrationv1.APIService { return all }

func TestOwnerOf(t *testing.T) {
	own := APIServiceLabels()
	ours := apiService("v1beta2", GroupName, Name, own)
	builtIn := Owner{OwnerBuiltIn, APIServiceName, types.NamespacedName{Namespace: "system", Name: Name}}
	adapter := apiService("v1beta1", GroupName, "adapter", nil)
	foreign := Owner{OwnerForeign, adapter.Name, types.NamespacedName{Namespace: "system", Name: "adapter"}}
	overOurs := Owner{OwnerForeign, APIServiceName, foreign.Service}
	apps := apiService("v1", "apps", "", nil)
	for name, c := range map[string]struct {
		apiServices []apiregistrationv1.APIService
		want        Owner
	}{
		"no APIService":                {nil, Owner{Kind: OwnerNone}},
		"another group":                {list(apps), Owner{Kind: OwnerNone}},
		"our own":                      {list(ours), builtIn},
		"our own beside another group": {list(ours, apps), builtIn},
		"an adapter":                   {list(adapter), foreign},
		"an adapter applied over ours": {list(apiService("v1beta2", GroupName, "adapter", own)), overOurs},
		"an adapter's older version":   {list(adapter, ours), foreign},
		"the same in another order":    {list(ours, adapter), foreign},
		"our Service without our label": {
			list(apiService("v1beta2", GroupName, Name, nil)),
			Owner{OwnerForeign, APIServiceName, builtIn.Service},
		},
		"a CustomResourceDefinition": {
			list(apiService("v1beta2", GroupName, "", own)),
			Owner{Kind: OwnerForeign, APIService: APIServiceName},
		},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, OwnerOf(c.apiServices))
		})
	}
}

func TestOwnerNamesItsServiceOrItsAPIService(t *testing.T) {
	service := types.NamespacedName{Namespace: "monitoring", Name: "prometheus-adapter"}
	assert.Equal(t, "no server", Owner{Kind: OwnerNone}.String())
	assert.Equal(t, "Service monitoring/prometheus-adapter (APIService v1beta1.custom.metrics.k8s.io)",
		Owner{OwnerForeign, "v1beta1.custom.metrics.k8s.io", service}.String())
	assert.Equal(t, "the API server itself (APIService v1beta2.custom.metrics.k8s.io)",
		Owner{Kind: OwnerForeign, APIService: APIServiceName}.String())
}

func TestOwnerByDiscovery(t *testing.T) {
	ours := []string{"pods/websocket_connections", "websocketclusters.wsfleet.dev/websocket_connections_max_ratio"}
	other := []string{"pods/websocket_connections"}
	for name, c := range map[string]struct {
		resources map[string][]string
		kind      OwnerKind
		text      string
	}{
		"no version": {nil, OwnerNone, "no server"},
		"our own":    {map[string][]string{"v1beta2": ours}, OwnerBuiltIn, "wsfleet's metrics API"},
		"an adapter": {map[string][]string{"v1beta2": other}, OwnerForeign, "another server than wsfleet's"},
		"an adapter beside us": {
			map[string][]string{"v1beta1": other, "v1beta2": ours},
			OwnerForeign,
			"another server than wsfleet's",
		},
		"an adapter that is new": {map[string][]string{"v1beta1": nil}, OwnerForeign, "another server than wsfleet's"},
	} {
		t.Run(name, func(t *testing.T) {
			owner := OwnerByDiscovery(c.resources)
			assert.Equal(t, c.kind, owner.Kind)
			assert.Equal(t, c.text, owner.String())
		})
	}
	assert.Equal(t, "a server that does not answer", Owner{Kind: OwnerUnknown}.String())
}
