package metricsapi

import (
	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The custom metrics API as the API server knows it.
const (
	// GroupName is the API group.
	GroupName = "custom.metrics.k8s.io"
	// Version is the version that the built-in metrics API registers. The HorizontalPodAutoscaler's controller prefers it
	// to v1beta1.
	Version = "v1beta2"
	// APIServiceName is the name of the APIService that the built-in metrics API registers.
	APIServiceName = Version + "." + GroupName
)

// Versions returns the versions of the custom metrics API that a server can have.
func Versions() []string { return []string{Version, "v1beta1"} }

// builtInResource is a resource that the built-in metrics API has and other servers do not.
const builtInResource = "websocketclusters." + v1alpha1.GroupName + "/" + contract.MetricConnectionsMaxRatio

// Name is the name of the metrics API's Deployment, Service, ServiceAccount, ClusterRole and PodDisruptionBudget.
const Name = "wsfleet-metrics-api"

// ServicePort is the port of the Service that the API server connects to.
const ServicePort = 443

// Labels of the metrics API's pods, and of the objects that it makes.
const (
	labelName      = "app.kubernetes.io/name"
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"

	valueName      = "wsfleet"
	valueComponent = "metrics-api"
	valueManagedBy = "wsfleet-operator"
)

// PodLabels returns the labels that select the pods of the metrics API in the operator's namespace.
func PodLabels() map[string]string {
	return map[string]string{labelName: valueName, labelComponent: valueComponent}
}

// APIServiceLabels returns the labels of the APIService and the Secret that the metrics API makes.
func APIServiceLabels() map[string]string {
	return map[string]string{
		labelName:      valueName,
		labelComponent: valueComponent,
		labelManagedBy: valueManagedBy,
	}
}
