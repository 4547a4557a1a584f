package simulate

import (
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/report"
)

// WriteHTML writes the result as one self-contained page with plots. It returns an error when a plot cannot be drawn
// or w fails.
func (r *Result) WriteHTML(w io.Writer) error {
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return err
	}
	page := report.Page{Title: "wsfleet simulate", Problems: r.Notes(), Text: text.String(), Figures: r.figures()}
	return page.Write(w) //nolint:wrapcheck // it names the page
}

// figures returns the plots of the result.
func (r *Result) figures() []report.Figure {
	over := func(name string, value func(Sample) float64) report.Curve {
		return report.Over(name, r.Samples, func(s Sample) float64 { return s.Seconds }, value)
	}
	overTime := func(title, y string, curves ...report.Curve) report.Figure {
		return report.Figure{Title: title, X: "seconds", Y: y, Curves: curves}
	}
	return []report.Figure{
		overTime("Reconnects against the budget", "per second",
			over("accepted", func(s Sample) float64 { return float64(s.ReconnectsPerSecond) }),
			over("budget", func(s Sample) float64 { return s.BudgetPerSecond })),
		overTime("Attempts to connect", "per second",
			over("all", func(s Sample) float64 { return float64(s.AttemptsPerSecond) }),
			over("failed", func(s Sample) float64 { return float64(s.FailuresPerSecond) })),
		overTime("Clients", "number",
			over("connected", func(s Sample) float64 { return float64(s.Connected) }),
			over("away", func(s Sample) float64 { return float64(s.Away) })),
		overTime("Gateways", "number",
			over("serving", func(s Sample) float64 { return float64(s.Serving) }),
			over("draining", func(s Sample) float64 { return float64(s.Draining) }),
			over("pods", func(s Sample) float64 { return float64(s.Pods) })),
		overTime("Gateways that drain", "number", over("draining", func(s Sample) float64 { return float64(s.Draining) })),
		report.ByPercentile("Time away by percentile", "seconds", r.awayTimes, float64(slotsPerSecond)),
	}
}
