package load

import "github.com/wsfleet/wsfleet/internal/report"

// figures returns the plots of the result.
func (r *Result) figures() []report.Figure {
	overTime := func(title, y string, curves ...report.Curve) report.Figure {
		return report.Figure{Title: title, X: "seconds", Y: y, Curves: curves}
	}
	const microsecondsPerMillisecond = 1e3
	return []report.Figure{
		overTime("Connections", "open", r.over("open", func(s Sample) float64 { return float64(s.Connected) })),
		overTime("Deliveries", "per second", r.over("deliveries", func(s Sample) float64 { return s.DeliveriesPerSecond })),
		overTime("Latency of deliveries", "ms", r.over("p50", func(s Sample) float64 { return s.P50 * 1e3 }),
			r.over("p99", func(s Sample) float64 { return s.P99 * 1e3 })),
		report.ByPercentile("Latency of deliveries by percentile", "ms", r.deliveryLatency, microsecondsPerMillisecond),
		report.ByPercentile("Time to connect by percentile", "ms", r.connectLatency, microsecondsPerMillisecond),
		overTime("Server CPU", "cores", r.over("cores", func(s Sample) float64 { return s.ServerCPU })),
		overTime("Server memory", "MiB",
			r.over("resident", func(s Sample) float64 { return float64(s.ServerRSSBytes) / (1 << 20) })),
	}
}

func (r *Result) over(name string, value func(Sample) float64) report.Curve {
	return report.Over(name, r.Samples, func(s Sample) float64 { return s.Seconds }, value)
}
