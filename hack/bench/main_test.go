package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/hack/bench/internal/measure"
	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
	"github.com/wsfleet/wsfleet/hack/bench/internal/suite"
)

func TestCommandRefusesBadCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"give 1 or more":          {"--rounds", "0"},
		"use floor, memory":       {"--targets", "floor,unknown"},
		"needs --baseline":        {"--targets", "memory,baseline-memory"},
		`no row is called "nope"`: {"--rows", "nope"},
		"unknown flag":            {"--nope"},
		"bench --help":            {"nope"},
		"add redis to --targets":  {"--rows", "redis-publish", "--targets", "memory"},
	} {
		root := newRoot()
		root.SetArgs(args)
		err := root.ExecuteContext(t.Context())
		require.ErrorContains(t, err, want)
		require.ErrorAs(t, err, &suite.UsageError{}, want)
	}
}

func TestChooseAlwaysMeasuresTheFloor(t *testing.T) {
	b := &bench{rounds: 1, targets: []string{"memory"}}
	require.NoError(t, b.choose([]string{"rate", "idle"}))
	require.Equal(t, []string{"floor", "memory"}, b.targets)
	require.Len(t, b.scenarios, 2)
	require.Equal(t, "idle", b.scenarios[0].Name, "in the order of the table")
}

func TestChooseLeavesOutRowsWithFloorOnly(t *testing.T) {
	rows := func(targets ...string) (names []string) {
		b := &bench{rounds: 1, targets: targets}
		require.NoError(t, b.choose(nil))
		for _, s := range b.scenarios {
			names = append(names, s.Name)
		}
		return names
	}
	require.Contains(t, rows("floor", "redis"), "redis-publish")
	require.Contains(t, rows("floor"), "redis-publish")
	require.NotContains(t, rows("floor", "nbio", "transport"), "redis-publish")
	require.Contains(t, rows("floor", "nbio", "transport"), "stall")
}

// fakeRun runs made-up scenarios and returns the calls.
func fakeRun(t *testing.T,
	run func(target string, n int) (measure.Values, error)) (b *bench, calls *[]string, table *bytes.Buffer) {
	t.Helper()
	calls, table = &[]string{}, &bytes.Buffer{}
	scenario := func(name string, targets ...string) measure.Scenario {
		return measure.Scenario{
			Name: name, Targets: targets, Figures: []report.Figure{{Key: name, Name: name, Unit: report.Bytes}},
			Run: func(_ context.Context, _ measure.Settings, target string) (measure.Values, error) {
				*calls = append(*calls, name+" "+target)
				v, err := run(target, len(*calls))
				return measure.Values{name: v["x"]}, err
			},
		}
	}
	return &bench{
		rounds:    2,
		targets:   []string{"floor", "memory"},
		given:     map[string]string{},
		output:    filepath.Join(t.TempDir(), "sub", "bench"),
		scenarios: []measure.Scenario{scenario("a"), scenario("b", "floor")},
		out:       table,
		progress:  &bytes.Buffer{},
	}, calls, table
}

func TestRunAlternatesTargets(t *testing.T) {
	b, calls, table := fakeRun(t, func(string, int) (measure.Values, error) { return measure.Values{"x": 5}, nil })
	require.NoError(t, b.run(t.Context()))
	require.Equal(t, []string{"a floor", "a memory", "b floor", "a floor", "a memory", "b floor"}, *calls)

	data, err := os.ReadFile(b.output + ".json")
	require.NoError(t, err)
	var r report.Report
	require.NoError(t, json.Unmarshal(data, &r))
	require.Len(t, r.Measurements, 6)
	require.Len(t, r.Summaries, 3)
	kept, err := os.ReadFile(b.output + ".md")
	require.NoError(t, err)
	require.Contains(t, table.String(), string(kept))
}

func TestRunReportsFailureAndContinues(t *testing.T) {
	b, calls, table := fakeRun(t, func(target string, _ int) (measure.Values, error) {
		if target == "memory" {
			return nil, errors.New("it fell over")
		}
		return measure.Values{"x": 5}, nil
	})
	require.ErrorIs(t, b.run(t.Context()), suite.ErrFailed)
	require.Len(t, *calls, 6)
	for round := 1; round <= 2; round++ {
		require.Contains(t, table.String(), fmt.Sprintf("FAILED: a of memory in round %d: it fell over", round))
	}
}

func TestRunInterruptedKeepsResults(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b, calls, table := fakeRun(t, func(_ string, n int) (measure.Values, error) {
		if n == 2 {
			cancel()
		}
		return measure.Values{"x": 5}, ctx.Err()
	})
	require.ErrorIs(t, b.run(ctx), suite.ErrInterrupted)
	require.Equal(t, []string{"a floor", "a memory"}, *calls)
	require.Contains(t, table.String(), "| a      | 5.00 B |")
	require.Contains(t, table.String(), "Interrupted")
}
