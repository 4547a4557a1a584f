package report

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

// Curve is a line of a figure. The legend of several has those with a name.
type Curve struct {
	Name   string
	Points plotter.XYs
}

// Figure is a plot. X and Y are the titles of its axes.
type Figure struct {
	Title, X, Y string
	Curves      []Curve
	Ticks       plot.Ticker
	Marks       []Mark
}

// Mark is a vertical line at a value of the axis X.
type Mark struct {
	X     float64
	Label string
}

// Size of a figure.
const (
	width  = 16 * vg.Centimeter
	height = 7 * vg.Centimeter
)

// Over returns a curve of the values of samples over their times, both by the functions.
func Over[S any](name string, samples []S, at, value func(S) float64) Curve {
	c := Curve{Name: name}
	for _, s := range samples {
		c.Points = append(c.Points, plotter.XY{X: at(s), Y: value(s)})
	}
	return c
}

// maxNines is the number of nines at which the axis of percentiles ends: 99.99 %.
const maxNines = 4

// ByPercentile returns a figure of a histogram over the number of nines: each step holds a tenth of the values of the
// one before. A value of the axis Y is unit values of the histogram. The figure is empty without a histogram, or when
// that is empty.
func ByPercentile(title, y string, h *hdrhistogram.Histogram, unit float64) Figure {
	f := Figure{Title: title, X: "percentile", Y: y}
	if h == nil || h.TotalCount() == 0 {
		return f
	}
	var c Curve
	for _, b := range h.CumulativeDistributionWithTicks(5) {
		nines := min(-math.Log10(max(1-b.Quantile/100, 1e-9)), maxNines)
		c.Points = append(c.Points, plotter.XY{X: nines, Y: float64(b.ValueAt) / unit})
		if nines == maxNines {
			break
		}
	}
	f.Curves = []Curve{c}
	f.Ticks = plot.ConstantTicks{{Value: 0, Label: "0"}, {Value: 1, Label: "90"}, {Value: 2, Label: "99"},
		{Value: 3, Label: "99.9"}, {Value: 4, Label: "99.99"}}
	return f
}

// Empty reports whether no value of the figure is above zero.
func (f Figure) Empty() bool {
	for _, c := range f.Curves {
		for _, p := range c.Points {
			if p.Y > 0 {
				return false
			}
		}
	}
	return true
}

// palette returns colours that differ also in red-green colour blindness.
func palette(i int) color.Color {
	return []color.Color{
		color.RGBA{R: 0, G: 90, B: 181, A: 255}, color.RGBA{R: 220, G: 100, B: 20, A: 255},
		color.RGBA{R: 90, G: 90, B: 90, A: 255},
	}[i%3]
}

// SVG returns the figures that are not empty, each as an SVG element. It returns an error when one cannot be drawn.
func SVG(figures []Figure) ([]template.HTML, error) {
	var all []template.HTML
	for _, f := range figures {
		if f.Empty() {
			continue
		}
		svg, err := f.svg()
		if err != nil {
			return nil, fmt.Errorf("plot %s: %w", f.Title, err)
		}
		all = append(all, svg)
	}
	return all, nil
}

// svg draws the figure as an SVG element.
func (f Figure) svg() (template.HTML, error) {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = f.Title, f.X, f.Y
	p.X.Min, p.Y.Min, p.Legend.Top = 0, 0, true
	if f.Ticks != nil {
		p.X.Tick.Marker = f.Ticks
	}
	p.Add(plotter.NewGrid())
	for i, c := range f.Curves {
		line, err := plotter.NewLine(c.Points)
		if err != nil {
			return "", err //nolint:wrapcheck // the caller wraps it
		}
		line.Color, line.Width = palette(i), vg.Points(1.5)
		p.Add(line)
		if len(f.Curves) > 1 && c.Name != "" {
			p.Legend.Add(c.Name, line)
		}
	}
	if err := mark(p, f.Marks); err != nil {
		return "", err
	}
	canvas := vgsvg.New(width, height)
	p.Draw(draw.New(canvas))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", err //nolint:wrapcheck // the caller wraps it
	}
	// The XML header before the element does not belong into a page.
	element := b.Bytes()[max(0, bytes.Index(b.Bytes(), []byte("<svg"))):]
	return template.HTML(element), nil //nolint:gosec // the canvas escapes its texts
}

// mark draws the marks over the whole height of the curves, with their labels at the top.
func mark(p *plot.Plot, marks []Mark) error {
	top := p.Y.Max
	labels := plotter.XYLabels{}
	for _, m := range marks {
		line, err := plotter.NewLine(plotter.XYs{{X: m.X, Y: 0}, {X: m.X, Y: top}})
		if err != nil {
			return err //nolint:wrapcheck // the caller wraps it
		}
		line.Color, line.Width = color.RGBA{R: 150, G: 0, B: 120, A: 255}, vg.Points(0.75)
		line.Dashes = []vg.Length{vg.Points(3), vg.Points(2)}
		p.Add(line)
		labels.XYs = append(labels.XYs, plotter.XY{X: m.X, Y: top})
		labels.Labels = append(labels.Labels, m.Label)
	}
	if len(marks) == 0 {
		return nil
	}
	texts, err := plotter.NewLabels(labels)
	if err != nil {
		return err //nolint:wrapcheck // the caller wraps it
	}
	texts.Offset = vg.Point{X: vg.Points(2), Y: -vg.Points(8)}
	p.Add(texts)
	return nil
}
