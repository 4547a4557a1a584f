package report

import (
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"
)

func TestSVGDrawsFiguresWithValuesOnly(t *testing.T) {
	same := func(v float64) float64 { return v }
	zero := func(float64) float64 { return 0 }
	svg, err := SVG([]Figure{
		{Title: "rises", X: "seconds", Y: "n", Curves: []Curve{
			Over("one", []float64{1, 2}, same, same), Over("other", []float64{1, 2}, same, zero),
		}},
		{Title: "zero", Curves: []Curve{Over("zero", []float64{1, 2}, same, zero)}},
		ByPercentile("no histogram", "s", nil, 1),
	})
	require.NoError(t, err)
	require.Len(t, svg, 1)
	require.True(t, strings.HasPrefix(string(svg[0]), "<svg"), "no XML header")
	for _, text := range []string{"rises", "seconds", "one", "other"} {
		require.Contains(t, string(svg[0]), text)
	}
}

func TestSVGDrawsMarks(t *testing.T) {
	same := func(v float64) float64 { return v }
	svg, err := SVG([]Figure{{
		Title:  "rises",
		Curves: []Curve{Over("one", []float64{1, 2}, same, same)},
		Marks:  []Mark{{X: 1.2, Label: "<first>"}, {X: 1.8, Label: "second"}},
	}})
	require.NoError(t, err)
	require.Contains(t, string(svg[0]), "&lt;first&gt;")
	require.Contains(t, string(svg[0]), "second")
	require.Equal(t, 2, strings.Count(string(svg[0]), "stroke-dasharray"))
}

func TestByPercentileScalesValues(t *testing.T) {
	h := hdrhistogram.New(1, 10_000, 3)
	require.NoError(t, h.RecordValues(2000, 100))
	f := ByPercentile("latency", "ms", h, 1000)
	require.False(t, f.Empty())
	for _, point := range f.Curves[0].Points {
		require.InDelta(t, 2, point.Y, 0.01)
	}
}
