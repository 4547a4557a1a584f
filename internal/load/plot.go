package load

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// curve is a named line of a plot.
type curve struct {
	name   string
	points plotter.XYs
}

// figure is a plot of a result.
type figure struct {
	title, x, y string
	curves      []curve
	ticks       plot.Ticker
}

// Size of a figure.
const (
	figureWidth  = 16 * vg.Centimeter
	figureHeight = 7 * vg.Centimeter
)

// figures returns the plots that the result has data for.
func (r *Result) figures() []figure {
	overTime := func(title, y string, curves ...curve) figure {
		return figure{title: title, x: "seconds", y: y, curves: curves}
	}
	all := []figure{
		overTime("Connections", "open", r.over("open", func(s Sample) float64 { return float64(s.Connected) })),
		overTime("Deliveries", "per second", r.over("deliveries", func(s Sample) float64 { return s.DeliveriesPerSecond })),
		overTime("Latency of deliveries", "ms", r.over("p50", func(s Sample) float64 { return s.P50 * 1e3 }),
			r.over("p99", func(s Sample) float64 { return s.P99 * 1e3 })),
		byPercentile("Latency of deliveries by percentile", r.deliveryLatency),
		byPercentile("Time to connect by percentile", r.connectLatency),
		overTime("Server CPU", "cores", r.over("cores", func(s Sample) float64 { return s.ServerCPU })),
		overTime("Server memory", "MiB",
			r.over("resident", func(s Sample) float64 { return float64(s.ServerRSSBytes) / (1 << 20) })),
	}
	var some []figure
	for _, f := range all {
		if !f.empty() {
			some = append(some, f)
		}
	}
	return some
}

func (r *Result) over(name string, value func(Sample) float64) curve {
	c := curve{name: name}
	for _, s := range r.Samples {
		c.points = append(c.points, plotter.XY{X: s.Seconds, Y: value(s)})
	}
	return c
}

// maxNines is the number of nines at which the axis of percentiles ends: 99.99 %.
const maxNines = 4

// byPercentile plots a histogram over the number of nines: each step holds a tenth of the messages of the one before.
func byPercentile(title string, h *hdrhistogram.Histogram) figure {
	f := figure{title: title, x: "percentile", y: "ms"}
	if h == nil || h.TotalCount() == 0 {
		return f
	}
	var c curve
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		nines := min(-math.Log10(max(1-b.Quantile/100, 1e-9)), maxNines)
		c.points = append(c.points, plotter.XY{X: nines, Y: float64(b.ValueAt) / 1e3})
		if nines == maxNines {
			break
		}
	}
	f.curves = []curve{c}
	f.ticks = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 1, Label: "90"}, {Value: 2, Label: "99"},
		{Value: 3, Label: "99.9"}, {Value: 4, Label: "99.99"}}
	return f
}

// empty reports whether no value of the figure is above zero.
func (f figure) empty() bool {
	for _, c := range f.curves {
		for _, p := range c.points {
			if p.Y > 0 {
				return false
			}
		}
	}
	return true
}

// palette returns colours that differ also in red-green colour blindness.
func palette(i int) color.Color {
	return []color.Color{color.RGBA{R: 0, G: 90, B: 181, A: 255}, color.RGBA{R: 220, G: 100, B: 20, A: 255}}[i%2]
}

// svg draws the figure as an SVG element.
func (f figure) svg() (template.HTML, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.title, f.x, f.y
	p.X.Min, p.Y.Min, p.Legend.Top = 0, 0, true
	if f.ticks != nil {
		p.X.Tick.Marker = f.ticks
	}
	p.Add(plotter.NewGrid())
	for i, c := range f.curves {
		line, err := plotter.NewLine(c.points)
		if err != nil {
			return "", fmt.Errorf("plot %s: %w", f.title, err)
		}
		line.Color, line.Width = palette(i), vg.Points(1.5)
		p.Add(line)
		if len(f.curves) > 1 {
			p.Legend.Add(c.name, line)
		}
	}
	canvas := vgsvg.New(figureWidth, figureHeight)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plot %s: %w", f.title, err)
	}
	// The XML header before the element does not belong into a page.
	element := b.Bytes()[max(0, bytes.Index(b.Bytes(), []byte("<svg"))):]
	return template.HTML(element), nil //nolint:gosec // its texts are constants
}
