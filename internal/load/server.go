package load

import (
	"context"
	"fmt"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// reading is the server's resource usage at one moment.
type reading struct {
	cpuSeconds float64
	rssBytes   int64
}

// observer reads the server's resource usage. It is nil when the options name no process and no URL.
type observer func(context.Context) (reading, error)

func newObserver(o *Options) observer {
	switch {
	case o.ServerPID > 0:
		return func(context.Context) (reading, error) {
			r, err := readProcess(o.ServerPID)
			if err != nil {
				return r, fmt.Errorf("--server-pid: %w", err)
			}
			return r, nil
		}
	case o.MetricsURL != "":
		return func(ctx context.Context) (reading, error) {
			r, err := readMetrics(ctx, o.MetricsURL)
			if err != nil {
				return r, fmt.Errorf("--metrics-url: %w", err)
			}
			return r, nil
		}
	}
	return nil
}

// scrapeTimeout bounds one request for the server's metrics.
const scrapeTimeout = 2 * time.Second

// The metrics that every Prometheus client library exports of its process.
const (
	metricCPU    = "process_cpu_seconds_total"
	metricMemory = "process_resident_memory_bytes"
)

func readMetrics(ctx context.Context, url string) (r reading, err error) {
	ctx, cancel := context.WithTimeout(ctx, scrapeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return r, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return r, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return r, fmt.Errorf("answered %s", response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return r, err
	}
	cpu, rss := families[metricCPU].GetMetric(), families[metricMemory].GetMetric()
	if len(cpu) == 0 || len(rss) == 0 {
		return r, fmt.Errorf("has no %s or no %s", metricCPU, metricMemory)
	}
	return reading{value(cpu[0]), int64(value(rss[0]))}, nil
}

// value returns the value of a metric, also when the server declares no type.
func value(m *dto.Metric) float64 {
	return m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue()
}
