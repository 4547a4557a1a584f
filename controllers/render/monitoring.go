package render

import (
	_ "embed"
	"fmt"
	"strings"

	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// fleetLabel is the label with the name of the fleet that the PodMonitor gives to metrics.
const fleetLabel = "fleet"

// DashboardName returns the name of the ConfigMap with the dashboard.
func DashboardName(cluster string) string { return cluster + "-dashboard" }

// podMonitor returns the PodMonitor by which the Prometheus Operator finds the gateways' metrics. They need no token.
func podMonitor(in Input) (any, error) {
	if in.Spec.Monitoring.PodMonitor == v1alpha1.MonitoringDisabled || !in.Installed.Has(kindPodMonitor) {
		return nil, nil
	}
	return optionalObject(in, kindPodMonitor, map[string]any{
		"selector": map[string]any{"matchLabels": SelectorLabels(in.Name, ComponentGateway)},
		"podMetricsEndpoints": []any{map[string]any{
			"port": contract.AdminPortName,
			"path": contract.PathMetrics,
			"relabelings": []any{map[string]any{
				"action":      "replace",
				"targetLabel": fleetLabel,
				"replacement": in.Name,
			}},
		}},
	}), nil
}

// prometheusRule returns the PrometheusRule with the alerts about the fleet.
func prometheusRule(in Input) (any, error) {
	if in.Spec.Monitoring.Rules == v1alpha1.MonitoringDisabled || !in.Installed.Has(kindPrometheusRule) {
		return nil, nil
	}
	var rules []any
	for _, alert := range alerts(in) {
		rules = append(rules, map[string]any{
			"alert":  alert.name,
			"expr":   alert.expression,
			"for":    alert.pending,
			"labels": map[string]any{"severity": alert.severity, "namespace": in.Namespace, fleetLabel: in.Name},
			"annotations": map[string]any{
				"summary":     alert.summary,
				"description": alert.remedy,
			},
		})
	}
	group := map[string]any{"name": "wsfleet." + in.Namespace + "." + in.Name, "rules": rules}
	return optionalObject(in, kindPrometheusRule, map[string]any{"groups": []any{group}}), nil
}

//go:embed dashboard.json
var dashboardJSON string

// dashboard returns the ConfigMap with the dashboard for Grafana. One dashboard shows every fleet that it can choose
// from, and this fleet first.
func dashboard(in Input) (any, error) {
	if !in.Spec.Monitoring.Dashboards {
		return nil, nil
	}
	content := strings.NewReplacer("NAMESPACE", in.Namespace, "FLEET", in.Name).Replace(dashboardJSON)
	return coreac.ConfigMap(DashboardName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithLabels(map[string]string{"grafana_dashboard": "1"}).
		WithOwnerReferences(in.owner()).
		WithData(map[string]string{fmt.Sprintf("wsfleet-%s-%s.json", in.Namespace, in.Name): content}), nil
}
