package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsfleet/wsfleet/internal/promdoc"
)

// declarer registers metrics and keeps a description of each for docs/metrics.md.
type declarer struct {
	registry *prometheus.Registry
	declared []promdoc.Metric
}

// label is one label of a metric. values lists all values that it can have, and is empty where the list is
// too long for a help text.
type label struct {
	name   string
	values []string
}

// open returns a label whose values the help text does not list.
func open(name string) label { return label{name: name} }

// oneOf returns a label that has one of these values.
func oneOf(name string, values ...string) label { return label{name: name, values: values} }

// counter registers a counter. A counter whose only label lists its values has all its series from the
// start, at zero: a series that begins at zero shows its first event as a rate.
func (d *declarer) counter(name, help string, labels ...label) *prometheus.CounterVec {
	names, help := d.describe(promdoc.Counter, name, help, labels)
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, names)
	d.registry.MustRegister(vec)
	if len(labels) == 1 {
		for _, value := range labels[0].values {
			vec.WithLabelValues(value)
		}
	}
	return vec
}

// histogram registers a histogram.
func (d *declarer) histogram(name, help string, buckets []float64, labels ...label) *prometheus.HistogramVec {
	names, help := d.describe(promdoc.Histogram, name, help, labels)
	vec := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, names)
	d.registry.MustRegister(vec)
	return vec
}

// gauge registers a gauge that calls read at every scrape.
func (d *declarer) gauge(name, help string, read func() float64) {
	_, help = d.describe(promdoc.Gauge, name, help, nil)
	d.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// gauges registers one gauge for each value of a label. It calls read with the value at every scrape.
func (d *declarer) gauges(name, help string, by label, read func(value string) float64) {
	_, help = d.describe(promdoc.Gauge, name, help, []label{by})
	for _, value := range by.values {
		d.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        name,
			Help:        help,
			ConstLabels: prometheus.Labels{by.name: value},
		}, func() float64 { return read(value) }))
	}
}

// describe keeps the description of a metric. It returns the names of the labels, and the help text with the
// values of the labels.
func (d *declarer) describe(kind, name, help string, labels []label) (names []string, full string) {
	for _, l := range labels {
		names = append(names, l.name)
		if len(l.values) > 1 {
			help += " " + l.name + " is one of " + strings.Join(l.values, ", ") + "."
		}
	}
	d.declared = append(d.declared, promdoc.Metric{Name: name, Type: kind, Labels: names, Help: help})
	return names, help
}
