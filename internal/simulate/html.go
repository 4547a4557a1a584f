package simulate

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/wsfleet/wsfleet/internal/figure"
)

//go:embed page.html
var pageText string

// WriteHTML writes the result as one self-contained page with plots. It returns an error when a plot cannot be drawn
// or w fails.
func (r *Result) WriteHTML(w io.Writer) error {
	page, err := template.New("page").Parse(pageText)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		return err
	}
	plots, err := figure.SVG(r.figures())
	if err != nil {
		return err //nolint:wrapcheck // it names the plot
	}
	if err := page.Execute(w, map[string]any{"Result": r, "Text": text.String(), "Plots": plots}); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// figures returns the plots of the result.
func (r *Result) figures() []figure.Figure {
	over := func(name string, value func(Sample) float64) figure.Curve {
		return figure.Over(name, r.Samples, func(s Sample) float64 { return s.Seconds }, value)
	}
	overTime := func(title, y string, curves ...figure.Curve) figure.Figure {
		return figure.Figure{Title: title, X: "seconds", Y: y, Curves: curves}
	}
	return []figure.Figure{
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
		figure.ByPercentile("Time away by percentile", "seconds", r.awayTimes, float64(slotsPerSecond)),
	}
}
