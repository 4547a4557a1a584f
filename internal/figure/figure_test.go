package figure_test

import (
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/figure"
)

func TestSVGDrawsFiguresWithValuesOnly(t *testing.T) {
	same := func(v float64) float64 { return v }
	zero := func(float64) float64 { return 0 }
	svg, err := figure.SVG([]figure.Figure{
		{Title: "rises", X: "seconds", Y: "n", Curves: []figure.Curve{
			figure.Over("one", []float64{1, 2}, same, same), figure.Over("other", []float64{1, 2}, same, zero),
		}},
		{Title: "zero", Curves: []figure.Curve{figure.Over("zero", []float64{1, 2}, same, zero)}},
		figure.ByPercentile("no histogram", "s", nil, 1),
	})
	require.NoError(t, err)
	require.Len(t, svg, 1)
	require.True(t, strings.HasPrefix(string(svg[0]), "<svg"), "no XML header")
	for _, text := range []string{"rises", "seconds", "one", "other"} {
		require.Contains(t, string(svg[0]), text)
	}
}

func TestByPercentileScalesValues(t *testing.T) {
	h := hdrhistogram.New(1, 10_000, 3)
	require.NoError(t, h.RecordValues(2000, 100))
	f := figure.ByPercentile("latency", "ms", h, 1000)
	require.False(t, f.Empty())
	for _, point := range f.Curves[0].Points {
		require.InDelta(t, 2, point.Y, 0.01)
	}
}
