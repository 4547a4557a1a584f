package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompareSaysWhetherTheRangesOverlap(t *testing.T) {
	figures := []Figure{
		{Key: "same", Name: "the same"},
		{Key: "touching", Name: "touching"},
		{Key: "apart", Name: "apart"},
		{Key: "once", Name: "not measured before"},
	}
	all := []Measurement{
		{"same", "memory", 1, 10}, {"same", "memory", 2, 14}, {"same", "old", 1, 12}, {"same", "old", 2, 12},
		{"touching", "memory", 1, 10}, {"touching", "memory", 2, 12}, {"touching", "old", 1, 12}, {"touching", "old", 2, 14},
		{"apart", "memory", 1, 10}, {"apart", "memory", 2, 12}, {"apart", "old", 1, 20}, {"apart", "old", 2, 24},
		{"once", "memory", 1, 10},
	}
	got := Compare(figures, Summarize(figures, []string{"memory", "old"}, all), "memory", "old")
	require.Equal(t, []Comparison{
		{Figure: "the same", Target: "memory", Baseline: "old", Ratio: 1, Overlap: true},
		{Figure: "touching", Target: "memory", Baseline: "old", Ratio: 11.0 / 13, Overlap: true},
		{Figure: "apart", Target: "memory", Baseline: "old", Ratio: 0.5, Overlap: false},
	}, got)

	r := report()
	require.NotContains(t, r.Markdown(), "earlier build")
	r.Comparisons = got
	shown := strings.Join(strings.Fields(r.Markdown()), " ")
	require.Contains(t, shown, "| apart | memory | old | 0.50x | APART |")
	require.Contains(t, shown, "| touching | memory | old | 0.85x | overlap |")
}
