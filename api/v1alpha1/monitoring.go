package v1alpha1

// MonitoringSpec configures what the operator makes for Prometheus and Grafana.
type MonitoringSpec struct {
	// podMonitor is whether the operator makes a PodMonitor, by which the Prometheus Operator finds the gateways' metrics:
	// Auto, where PodMonitors are installed; Enabled; or Disabled. Defaults to Auto.
	// +optional
	// +kubebuilder:default=Auto
	PodMonitor MonitoringMode `json:"podMonitor,omitempty"`

	// rules is whether the operator makes a PrometheusRule with alerts about the fleet: Auto, where PrometheusRules are
	// installed; Enabled; or Disabled. The alerts use the labels that the PodMonitor sets. Defaults to Disabled.
	// +optional
	// +kubebuilder:default=Disabled
	Rules MonitoringMode `json:"rules,omitempty"`

	// dashboards is whether the operator makes a ConfigMap with a dashboard for Grafana. It has the label
	// grafana_dashboard=1, by which Grafana's sidecar finds it. Defaults to false.
	// +optional
	Dashboards bool `json:"dashboards,omitempty"`
}

// MonitoringMode is whether the operator makes an object whose kind may not be installed.
//
// +kubebuilder:validation:Enum=Auto;Enabled;Disabled
type MonitoringMode string

// The values of MonitoringMode.
const (
	// MonitoringAuto makes the object where its kind is installed.
	MonitoringAuto MonitoringMode = "Auto"
	// MonitoringEnabled makes the object. A kind that is not installed is a problem.
	MonitoringEnabled MonitoringMode = "Enabled"
	// MonitoringDisabled makes none.
	MonitoringDisabled MonitoringMode = "Disabled"
)
