package load

import (
	"strconv"

	"github.com/wsfleet/wsfleet/internal/report"
)

// Figures returns the plots of the result.
func (r *Result) Figures() []report.Figure {
	overTime := func(title, y string, curves ...report.Curve) report.Figure {
		return report.Figure{Title: title, X: "seconds", Y: y, Curves: curves, Marks: r.Marks()}
	}
	const microsecondsPerMillisecond = 1e3
	return []report.Figure{
		overTime("Connections", "open", r.over("open", func(s Sample) float64 { return float64(s.Connected) })),
		overTime("Clients that are away", "number", r.over("away", func(s Sample) float64 { return float64(s.Away) })),
		overTime("Connections lost, and returns", "per second",
			r.over("lost", func(s Sample) float64 { return s.LostPerSecond }),
			r.over("returns", func(s Sample) float64 { return s.ReturnsPerSecond }),
			r.over("refused attempts", func(s Sample) float64 { return s.RefusedPerSecond })),
		report.ByPercentile("Time away by percentile", "ms", r.awayTimes, microsecondsPerMillisecond),
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

// Marks returns the events of live by their numbers, as the text has them.
func (r *Result) Marks() []report.Mark {
	var marks []report.Mark
	if r.Live != nil {
		for i, e := range r.Live.Events[1:] {
			marks = append(marks, report.Mark{X: e.Seconds, Label: strconv.Itoa(i + 1)})
		}
	}
	return marks
}

func (r *Result) over(name string, value func(Sample) float64) report.Curve {
	return report.Over(name, r.Samples, func(s Sample) float64 { return s.Seconds }, value)
}
