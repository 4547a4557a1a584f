package simulate

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/golden"
)

// results returns results of each kind. Their numbers are made up.
func results(t *testing.T) map[string]*Result {
	t.Helper()
	away := hdrhistogram.New(1, 10_000, 3)
	require.NoError(t, away.RecordValues(12, 70_000))
	rollout := Result{
		Gateways:    10,
		Connections: 50_000,
		Clients:     []ClientsResult{{"centrifuge", 0.7}, {"stompjs", 0.3}},
		Events:      []string{"rollout", "kill=2@1m0s"},
		Seed:        1,
		Settled:     true,
		Seconds:     323,
		BackSeconds: 59.94,
		HeldSeconds: 121.8,
		Peak: Peak{
			ReconnectsPerSecond: 2546,
			AttemptsPerSecond:   2625,
			FailuresPerSecond:   381,
			ClosesPerSecond:     2400,
			MinBudgetPerSecond:  2500,
			ClosesToBudget:      0.96,
		},
		Disconnects: Disconnects{Total: 76_219, PerClient: 1.52438, Closed: 66_219, Cut: 10_000},
		Attempts:    Attempts{Total: 77_752, Refused: 1500, Full: 0, Unanswered: 30, Unreachable: 3},
		Away:        Away{P50: 0.8, P90: 1, P99: 4.2, Max: 75.6, Mean: 0.82, Returned: 76_219},
		Fleet:       Fleet{MaxDraining: 1, AllowedDraining: 1, MinServing: 10, MaxPods: 12},
		Samples: []Sample{
			{Seconds: 0, Connected: 50_000, Serving: 10, Pods: 10, BudgetPerSecond: 2500},
			{
				Seconds: 1, Connected: 49_000, Away: 1000, Serving: 10, Draining: 1, Pods: 12, BudgetPerSecond: 2500,
				ClosesPerSecond: 2400, ReconnectsPerSecond: 2546, AttemptsPerSecond: 2625, FailuresPerSecond: 381,
			},
		},
		awayTimes: away,
	}
	bad := rollout
	bad.Settled, bad.Waits, bad.Peak.ClosesToBudget = false, "gateways that drain already: 1", 3.21
	bad.Disconnects.Forced, bad.Attempts.Full, bad.Fleet.MaxDraining, bad.Away.Still = 4000, 1200, 3, 77
	none := Result{Gateways: 2, Clients: []ClientsResult{{"centrifuge", 1}}, Settled: true}
	return map[string]*Result{"rollout": &rollout, "bad": &bad, "none": &none}
}

func TestResultAsTable(t *testing.T) {
	for name, result := range results(t) {
		var out strings.Builder
		require.NoError(t, result.WriteText(&out))
		golden.File(t, "testdata/"+name+".txt", out.String())
	}
}

func TestResultAsJSON(t *testing.T) {
	text, err := json.MarshalIndent(results(t)["bad"], "", "  ")
	require.NoError(t, err)
	golden.File(t, "testdata/bad.json", string(text)+"\n")
}

func TestResultAsPageLoadsNothing(t *testing.T) {
	var out strings.Builder
	require.NoError(t, results(t)["bad"].WriteHTML(&out))
	page := out.String()
	require.Equal(t, 6, strings.Count(page, "<svg"))
	require.Contains(t, page, "Reconnects against the budget")
	require.Contains(t, page, `<p class="failed">the fleet has not settled`)
	for _, loads := range []string{"src=", "<link", "<script", "@import"} {
		require.NotContains(t, page, loads)
	}
	out.Reset()
	require.NoError(t, results(t)["none"].WriteHTML(&out))
	require.NotContains(t, out.String(), "<svg", "nothing to draw")
}

// failingWriter is a writer that always fails.
type failingWriter struct{}

var errWrite = errors.New("disk full")

func (failingWriter) Write([]byte) (int, error) { return 0, errWrite }

func TestResultReportsErrorsOfTheWriter(t *testing.T) {
	r := results(t)["rollout"]
	require.ErrorIs(t, r.WriteText(failingWriter{}), errWrite)
	require.ErrorIs(t, r.WriteHTML(failingWriter{}), errWrite)
}
