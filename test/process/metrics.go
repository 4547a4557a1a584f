package process

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Metrics are sums of a gateway's metrics. The key name{label=value} has the sum of all series with that label, and the
// key name the sum of all series.
type Metrics map[string]float64

// Metrics reads the metrics from the gateway's private port. It returns an error when the gateway does not answer or
// the answer cannot be parsed.
func (g *Gateway) Metrics(ctx context.Context) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.AdminAddr+contract.PathMetrics,
		http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", g.Name, err)
	}
	defer func() { _ = response.Body.Close() }()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the metrics of %s: %w", g.Name, err)
	}
	sums := Metrics{}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + m.GetUntyped().GetValue() + float64(
				m.GetHistogram().GetSampleCount())
			sums[name] += value
			for _, l := range m.GetLabel() {
				sums[name+"{"+l.GetName()+"="+l.GetValue()+"}"] += value
			}
		}
	}
	return sums, nil
}

// Await reads the metrics until ok reports true, and returns them. It returns an error when the gateway exits before,
// or after the timeout.
func (g *Gateway) Await(ctx context.Context, ok func(Metrics) bool) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		m, err := g.Metrics(ctx)
		if err == nil && ok(m) {
			return m, nil
		}
		select {
		case <-poll.C:
		case <-g.Ended():
			return nil, fmt.Errorf("%s has ended", g.Name)
		case <-ctx.Done():
			return m, fmt.Errorf("the metrics of %s are not what they should be after %v", g.Name, timeout)
		}
	}
}
