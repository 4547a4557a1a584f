package admin

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Whoever waits for a drain kills the gateway afterwards: it must not give up early.
func TestDrainAndWaitTellsTheEndFromTrouble(t *testing.T) {
	for name, c := range map[string]struct {
		timeout time.Duration
		fleet   func(w http.ResponseWriter, asked int)
		says    string
	}{
		"trouble, then drained": {time.Hour, func(w http.ResponseWriter, asked int) {
			if asked < 3 {
				http.Error(w, "busy", http.StatusInternalServerError)
				return
			}
			_ = json.NewEncoder(w).Encode(contract.GatewayReport{State: contract.StateDrained, Drain: &contract.DrainReport{Closed: 7}})
		}, "drained: 7 closed"},
		"connection cut":            {time.Hour, func(http.ResponseWriter, int) { panic(http.ErrAbortHandler) }, "has ended"},
		"trouble till the deadline": {100 * time.Millisecond, func(w http.ResponseWriter, _ int) { http.Error(w, "busy", http.StatusInternalServerError) }, "past the deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int32
			mux := http.NewServeMux()
			mux.HandleFunc("POST "+contract.PathDrain, func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(contract.GatewayReport{State: contract.StateDraining, Drain: &contract.DrainReport{Deadline: time.Now().Add(c.timeout)}})
			})
			mux.HandleFunc("GET "+contract.PathFleet, func(w http.ResponseWriter, _ *http.Request) {
				c.fleet(w, int(asked.Add(1)))
			})
			server := httptest.NewServer(mux)
			client, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
			require.NoError(t, err)
			var out strings.Builder
			require.NoError(t, client.DrainAndWait(t.Context(), contract.DrainRequest{}, 5*time.Millisecond, 0, &out))
			server.Close()
			require.Contains(t, out.String(), c.says)
		})
	}
}

func TestDrainAndWaitSeesThatNobodyListens(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("POST "+contract.PathDrain, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_ = json.NewEncoder(w).Encode(contract.GatewayReport{State: contract.StateDraining, Drain: &contract.DrainReport{Deadline: time.Now().Add(time.Hour)}})
		_ = server.Listener.Close()
	})
	client, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, client.DrainAndWait(t.Context(), contract.DrainRequest{}, 5*time.Millisecond, 0, &out))
	require.Contains(t, out.String(), "the gateway has ended")
}
