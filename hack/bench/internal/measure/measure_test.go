package measure

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

func fixture(t *testing.T, name string) *result {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	r := &result{}
	require.NoError(t, json.Unmarshal(data, r))
	return r
}

func TestIdleValues(t *testing.T) {
	v, err := idleValues(fixture(t, "idle.json"))
	require.NoError(t, err)
	require.InDelta(t, 10e6, v["empty-memory"], 0)
	require.InDelta(t, 2000, v["idle-memory"], 0)
	require.InDelta(t, 5e-3, v["handshake-cpu"], 1e-12)
	require.InDelta(t, 50e-6, v["idle-cpu"], 1e-12)
}

func TestFanoutValues(t *testing.T) {
	v, err := fanoutValues(fixture(t, "fanout.json"), 16)
	require.NoError(t, err)
	require.InDelta(t, 6e-6, v["delivery-cpu-16"], 1e-12)
	require.InDelta(t, 100e3, v["deliveries-16"], 0)
}

func TestStormValues(t *testing.T) {
	v, err := stormValues(fixture(t, "storm.json"))
	require.NoError(t, err)
	require.Equal(t, Values{"storm-seconds": 4.5, "storm-cpu": 0.02}, v)
}

func TestStormOfManyValues(t *testing.T) {
	r := fixture(t, "storm.json")
	v, err := stormOfManyValues(r)
	require.NoError(t, err)
	require.Equal(t, Values{"storm-many-seconds": 4.5, "storm-many-cpu": 0.02, "storm-many-attempts": 1.2}, v)
	r.Delivery.Lost = 1
	_, err = stormOfManyValues(r)
	require.ErrorContains(t, err, "1 lost")
}

func TestStormValuesRefuseLoss(t *testing.T) {
	for want, change := range map[string]func(*result){
		"99 of 100 clients recovered": func(r *result) { r.Steps[0].Recovery.Recovered = 99 },
		"recovered 0 publications":    func(r *result) { r.Steps[0].Recovery.Publications = 0 },
		"1 lost":                      func(r *result) { r.Delivery.Lost = 1 },
		"2 duplicated":                func(r *result) { r.Delivery.Duplicated = 2 },
		"3 reordered":                 func(r *result) { r.Delivery.Reordered = 3 },
		"tells of 0 storms":           func(r *result) { r.Steps = nil },
		`no phase "storm 1"`:          func(r *result) { r.Phases = nil },
	} {
		r := fixture(t, "storm.json")
		change(r)
		_, err := stormValues(r)
		require.ErrorContains(t, err, want)
	}
}

func TestValuesRefuseIncompleteResult(t *testing.T) {
	r := fixture(t, "idle.json")
	r.Phases[1].Server = nil
	_, err := idleValues(r)
	require.ErrorContains(t, err, `nothing of the server in phase "hold"`)
	_, err = fanoutValues(r, 1)
	require.ErrorContains(t, err, `no phase "run"`)
	r = fixture(t, "fanout.json")
	r.Delivery.PerSecond = 0
	_, err = fanoutValues(r, 1)
	require.ErrorContains(t, err, "nothing was delivered")
}

func TestScenariosHaveDistinctFigures(t *testing.T) {
	seen := map[string]string{}
	for _, s := range Scenarios() {
		require.NotEmpty(t, s.Figures, s.Name)
		for _, f := range s.Figures {
			require.Empty(t, seen[f.Key], f.Key)
			seen[f.Key] = s.Name
		}
	}
}

// fakeLoadTool returns a directory with a shell script as load tool.
func fakeLoadTool(t *testing.T, script string) string {
	t.Helper()
	bin := t.TempDir()
	require.NoError(t,
		os.WriteFile(filepath.Join(bin, "wsfleet"), []byte("#!/bin/sh\n"+script), 0o700))
	return bin
}

func TestLoadNamesServerAndFlags(t *testing.T) {
	bin := fakeLoadTool(t, `echo "$@" >"$(dirname "$0")/args"; echo '{"clients":7}'`)
	r, err := load(t.Context(), bin, &server.Server{PID: 42, Address: "127.0.0.1:1"}, "idle", "--clients", "7")
	require.NoError(t, err)
	require.Equal(t, 7, r.Clients)
	args, err := os.ReadFile(filepath.Join(bin, "args"))
	require.NoError(t, err)
	require.Equal(t, "load idle ws://127.0.0.1:1 --output json --quiet --server-pid 42 --clients 7",
		strings.TrimSpace(string(args)))
}

func TestLoadFailsWithItsTool(t *testing.T) {
	_, err := load(t.Context(), fakeLoadTool(t, `echo '{}'; echo first >&2; echo "3 messages were lost" >&2; exit 1`),
		&server.Server{}, "idle")
	require.ErrorContains(t, err, "3 messages were lost")
	_, err = load(t.Context(), fakeLoadTool(t, `echo '{"failures":["2 clients left","1 was lost"]}'; exit 1`),
		&server.Server{}, "idle")
	require.ErrorContains(t, err, "2 clients left; 1 was lost")
	_, err = load(t.Context(), fakeLoadTool(t, `echo hello`), &server.Server{}, "idle")
	require.ErrorContains(t, err, "no result")
}

func TestLoadEndsWithItsContext(t *testing.T) {
	bin := fakeLoadTool(t, `trap 'exit 1' INT; : >"$(dirname "$0")/began"; while :; do sleep 0.01; done`)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		_, err := load(ctx, bin, &server.Server{}, "idle")
		ended <- err
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(bin, "began")); return err == nil }, stopTimeout,
		time.Millisecond)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestMaxDuration(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	worst, err := maxDuration(ctx, func(n int) error {
		switch n {
		case 1:
			time.Sleep(30 * time.Millisecond)
		case 3:
			cancel()
		}
		return ctx.Err()
	})
	require.NoError(t, err)
	require.GreaterOrEqual(t, worst, 30*time.Millisecond)

	broken := errors.New("broken")
	_, err = maxDuration(t.Context(), func(int) error { return broken })
	require.ErrorIs(t, err, broken)
}
