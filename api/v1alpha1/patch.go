package v1alpha1

import "k8s.io/apimachinery/pkg/runtime"

// PatchSpec has a strategic merge patch for each kind of object, for what no field of the spec offers. A patch is
// merged into the object that the operator makes from the rest of the spec; null removes a field. The names, selectors,
// owners and sizes of objects and the operator's own labels and annotations cannot be patched. A patch that cannot be
// applied changes nothing, and the condition SpecAccepted says why. Patches of kinds of other projects (httpRoute,
// routeBackend, podMonitor, prometheusRule) are JSON merge patches (RFC 7386), in which a list replaces the whole list.
type PatchSpec struct {
	// deployment is a patch of the gateways' Deployment. A change of its pod template rolls the gateways.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Deployment *runtime.RawExtension `json:"deployment,omitempty"`

	// service is a patch of the gateways' Service.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Service *runtime.RawExtension `json:"service,omitempty"`

	// serviceAccount is a patch of the ServiceAccount of the fleet's pods.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	ServiceAccount *runtime.RawExtension `json:"serviceAccount,omitempty"`

	// ingress is a patch of the Ingress.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Ingress *runtime.RawExtension `json:"ingress,omitempty"`

	// horizontalPodAutoscaler is a patch of the HorizontalPodAutoscaler.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	HorizontalPodAutoscaler *runtime.RawExtension `json:"horizontalPodAutoscaler,omitempty"`

	// podDisruptionBudget is a patch of the gateways' PodDisruptionBudget.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	PodDisruptionBudget *runtime.RawExtension `json:"podDisruptionBudget,omitempty"`

	// networkPolicy is a patch of the gateways' NetworkPolicy.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	NetworkPolicy *runtime.RawExtension `json:"networkPolicy,omitempty"`

	// redisDeployment is a patch of the managed Redis' Deployment. A change of its pod template replaces the pod.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RedisDeployment *runtime.RawExtension `json:"redisDeployment,omitempty"`

	// redisService is a patch of the managed Redis' Service.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RedisService *runtime.RawExtension `json:"redisService,omitempty"`

	// redisNetworkPolicy is a patch of the managed Redis' NetworkPolicy.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RedisNetworkPolicy *runtime.RawExtension `json:"redisNetworkPolicy,omitempty"`

	// redisPersistentVolumeClaim is a patch of the claim of the managed Redis' volume.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RedisPersistentVolumeClaim *runtime.RawExtension `json:"redisPersistentVolumeClaim,omitempty"`

	// httpRoute is a patch of the HTTPRoute.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	HTTPRoute *runtime.RawExtension `json:"httpRoute,omitempty"`

	// routeService is a patch of the Service that the HTTPRoute goes through.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RouteService *runtime.RawExtension `json:"routeService,omitempty"`

	// routeBackend is a patch of the XBackend that the HTTPRoute goes to.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	RouteBackend *runtime.RawExtension `json:"routeBackend,omitempty"`

	// podMonitor is a patch of the PodMonitor.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	PodMonitor *runtime.RawExtension `json:"podMonitor,omitempty"`

	// prometheusRule is a patch of the PrometheusRule.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	PrometheusRule *runtime.RawExtension `json:"prometheusRule,omitempty"`

	// dashboards is a patch of the ConfigMap with the Grafana dashboard.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Dashboards *runtime.RawExtension `json:"dashboards,omitempty"`
}
