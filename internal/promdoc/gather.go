package promdoc

import (
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Gather returns the metrics of a registry. It leaves out a metric with labels that has no value yet, and returns an
// error when the registry cannot be read.
func Gather(registry prometheus.Gatherer) ([]Metric, error) {
	families, err := registry.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	metrics := make([]Metric, 0, len(families))
	for _, family := range families {
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		metrics = append(metrics, Metric{
			Name:   family.GetName(),
			Type:   strings.ToLower(family.GetType().String()),
			Labels: labels,
			Help:   family.GetHelp(),
		})
	}
	return metrics, nil
}
