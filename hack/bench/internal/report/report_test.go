package report

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files")

func TestSpread(t *testing.T) {
	require.Equal(t, Spread{1, 5, 5, 5}, spread([]float64{5}))
	require.Equal(t, Spread{3, 2, 1, 9}, spread([]float64{9, 1, 2}))
	require.Equal(t, Spread{4, 2.5, 1, 9}, spread([]float64{9, 3, 1, 2}))
}

func TestSummarizeTakesRatiosOfSameRound(t *testing.T) {
	// The machine was half as fast in the second round, which does not change the ratio.
	f := Figure{Key: "x", Goal: Goal{RatioTo, 1.5, ""}}
	s := Summarize([]Figure{f}, []string{Floor, "memory"}, []Measurement{
		{"x", Floor, 1, 10}, {"x", "memory", 1, 15}, {"x", Floor, 2, 20}, {"x", "memory", 2, 30}, {"x", "memory", 3, 99},
	})
	require.Len(t, s, 2)
	require.Nil(t, s[0].Ratio)
	require.Nil(t, s[0].Met)
	require.Equal(t, Spread{2, 1.5, 1.5, 1.5}, *s[1].Ratio)
	require.Equal(t, Spread{3, 30, 15, 99}, s[1].Value)
	require.True(t, *s[1].Met)
}

func TestSummarizeJudgesGoals(t *testing.T) {
	for name, c := range map[string]struct {
		goal            Goal
		floor, measured float64
		met             *bool
		missed          float64
	}{
		"none":                   {Goal{}, 1, 1, nil, 0},
		"value":                  {Goal{AtMost, 2000, ""}, 1, 2000, new(true), 0},
		"value missed":           {Goal{AtMost, 2000, ""}, 1, 2500, new(false), 0.25},
		"value without a floor":  {Goal{AtMost, 2000, ""}, 0, 2500, new(false), 0.25},
		"minimum":                {Goal{Minimum, 2000, ""}, 0, 2000, new(true), 0},
		"minimum missed":         {Goal{Minimum, 2000, ""}, 1, 1500, new(false), 0.25},
		"another's":              {Goal{AtMost, 2000, "redis"}, 1, 2500, nil, 0},
		"ratio":                  {Goal{RatioTo, 1.6, ""}, 10, 12, new(true), 0},
		"no number allowed":      {Goal{AtMost, 0, ""}, 0, 0, new(true), 0},
		"one too many":           {Goal{AtMost, 0, ""}, 0, 3, new(false), 3},
		"ratio missed":           {Goal{RatioTo, 1.6, ""}, 10, 20, new(false), 0.25},
		"ratio without a floor":  {Goal{RatioTo, 1.6, ""}, 0, 20, nil, 0},
		"at least":               {Goal{RatioOf, 3, ""}, 10, 31, new(true), 0},
		"at least missed":        {Goal{RatioOf, 3, ""}, 10, 15, new(false), 0.5},
		"floor plus":             {Goal{FloorPlus, 2, ""}, 8, 10, new(true), 0},
		"floor plus missed":      {Goal{FloorPlus, 2, ""}, 8, 12, new(false), 0.2},
		"floor plus without one": {Goal{FloorPlus, 2, ""}, 0, 12, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			all := []Measurement{{"x", "memory", 1, c.measured}}
			if c.floor > 0 {
				all = append(all, Measurement{"x", Floor, 1, c.floor})
			}
			s := Summarize([]Figure{{Key: "x", Goal: c.goal}}, []string{"memory"}, all)
			require.Equal(t, c.met, s[0].Met)
			require.InDelta(t, c.missed, s[0].Missed, 1e-9)
		})
	}
}

func TestUnitTextIsReadable(t *testing.T) {
	for want, got := range map[string]string{
		"512 B":    Bytes.Text(512),
		"1.95 KB":  Bytes.Text(1950),
		"2.50":     Count.Text(2.5),
		"0.30 %":   Share.Text(0.003),
		"12.3 MB":  Bytes.Text(12_345_678),
		"45.0 us":  Seconds.Text(45e-6),
		"0.50 us":  Seconds.Text(0.5e-6),
		"57.0 ms":  Seconds.Text(0.057),
		"1.20 s":   Seconds.Text(1.2),
		"150 k/s":  PerSecond.Text(150_000),
		"12.0 /s":  PerSecond.Text(12),
		"0.00 us":  Seconds.Text(0),
		"-1.50 KB": Bytes.Text(-1500),
	} {
		require.Equal(t, want, got)
	}
}

func report() *Report {
	figures := []Figure{
		{"idle-memory", "resident memory per idle connection", Bytes, Goal{AtMost, 2000, ""}},
		{"handshake-cpu", "CPU per handshake", Seconds, Goal{RatioTo, 1.6, ""}},
		{"deliveries-16", "deliveries per second", PerSecond, Goal{RatioOf, 3, ""}},
		{"stall", "longest stall during a broadcast", Seconds, Goal{}},
		{"recover", "subscribe with recovery", PerCore, Goal{Minimum, 20e3, "memory"}},
	}
	targets := []string{Floor, "memory", "redis"}
	all := []Measurement{
		{"idle-memory", Floor, 1, 500}, {"idle-memory", "memory", 1, 1900}, {"idle-memory", "redis", 1, 2100},
		{"idle-memory", Floor, 2, 510}, {"idle-memory", "memory", 2, 1950}, {"idle-memory", "redis", 2, 2200},
		{"handshake-cpu", Floor, 1, 45e-6}, {"handshake-cpu", "memory", 1, 63e-6},
		{"deliveries-16", Floor, 1, 150e3}, {"deliveries-16", "memory", 1, 300e3}, {"deliveries-16", "redis", 1, 460e3},
		{"stall", Floor, 1, 0.08}, {"stall", "memory", 1, 0.06}, {"stall", "redis", 1, 0.07},
		{"recover", "memory", 1, 30e3}, {"recover", "redis", 1, 15e3},
	}
	return &Report{
		Started: time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC), Seconds: 83,
		Machine:  Machine{CPU: "Some CPU", Cores: 2, Kernel: "6.1", Go: "go1.26", Version: "v0"},
		Settings: map[string]string{"quick": "true", "rounds": "2"},
		Targets:  targets, Figures: figures, Measurements: all, Summaries: Summarize(figures, targets, all),
		Failures: []Failure{{"idle", "redis", 1, "no server"}}, Interrupted: true,
	}
}

func TestReportMarkdown(t *testing.T) {
	const golden = "testdata/table.md"
	got := report().Markdown()
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(got), 0o600))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestReportJSONHoldsAllRounds(t *testing.T) {
	var out strings.Builder
	require.NoError(t, report().JSON(&out))
	var back Report
	require.NoError(t, json.Unmarshal([]byte(out.String()), &back))
	require.Equal(t, *report(), back)
}
