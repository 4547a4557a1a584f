// Package promdoc writes the tables of docs/metrics.md. The tests of gateway/metrics, of controllers and of
// controllers/metricsapi/server compare the page with the metrics that the code declares.
package promdoc

import (
	"slices"
	"strings"
)

// Types of metrics.
const (
	Counter   = "counter"
	Gauge     = "gauge"
	Histogram = "histogram"
)

// Metric describes one metric of a program.
type Metric struct {
	Name string
	// Type is Counter, Gauge or Histogram.
	Type string
	// Labels are the names of the labels, in the order of their declaration, or by name from Gather.
	Labels []string
	// Help is one line: the help text that Prometheus gets with the metric.
	Help string
}

// Table returns the metrics as a Markdown table that is sorted by name.
func Table(metrics []Metric) string {
	sorted := slices.SortedFunc(slices.Values(metrics), func(a, b Metric) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	b.WriteString("| name | type | labels | help |\n|---|---|---|---|\n")
	for _, m := range sorted {
		labels := make([]string, 0, len(m.Labels))
		for _, label := range m.Labels {
			labels = append(labels, "`"+label+"`")
		}
		b.WriteString("| `" + m.Name + "` | " + m.Type + " | " + strings.Join(labels, ", ") + " | " + cell(m.Help) + " |\n")
	}
	return b.String()
}

// cell escapes a text for a Markdown table.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(text)
}
