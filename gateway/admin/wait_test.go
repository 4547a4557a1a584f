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

// draining is the report of a gateway whose drain ends after timeout.
func draining(timeout time.Duration) contract.GatewayReport {
	drain := contract.DrainReport{Deadline: time.Now().Add(timeout)}
	return contract.GatewayReport{State: contract.StateDraining, Drain: &drain}
}

// The kubelet ends the gateway when its preStop hook returns, so the hook must not give up early.
func TestDrainAndWaitSeparatesAnEndFromErrors(t *testing.T) {
	for name, c := range map[string]struct {
		timeout time.Duration
		// fleet answers GET /fleet. request counts from 1.
		fleet func(w http.ResponseWriter, request int)
		want  string
	}{
		"errors, then drained": {time.Hour, func(w http.ResponseWriter, request int) {
			if request < 3 {
				http.Error(w, "busy", http.StatusInternalServerError)
				return
			}
			drained := contract.GatewayReport{State: contract.StateDrained, Drain: &contract.DrainReport{Closed: 7}}
			_ = json.NewEncoder(w).Encode(drained)
		}, "drained: 7 closed"},
		"connection cut": {time.Hour, func(http.ResponseWriter, int) { panic(http.ErrAbortHandler) }, "has ended"},
		"errors until the deadline": {100 * time.Millisecond, func(w http.ResponseWriter, _ int) {
			http.Error(w, "busy", http.StatusInternalServerError)
		}, "past the deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			mux := http.NewServeMux()
			mux.HandleFunc("POST "+contract.PathDrain, func(w http.ResponseWriter, _ *http.Request) {
				_ = json.NewEncoder(w).Encode(draining(c.timeout))
			})
			mux.HandleFunc("GET "+contract.PathFleet, func(w http.ResponseWriter, _ *http.Request) {
				c.fleet(w, int(requests.Add(1)))
			})
			server := httptest.NewServer(mux)
			client, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
			require.NoError(t, err)
			var out strings.Builder
			require.NoError(t, client.DrainAndWait(t.Context(), contract.DrainRequest{}, 5*time.Millisecond, 0, &out))
			server.Close()
			require.Contains(t, out.String(), c.want)
		})
	}
}

func TestDrainAndWaitReturnsWhenThePortIsClosed(t *testing.T) {
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	defer server.Close()
	mux.HandleFunc("POST "+contract.PathDrain, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		_ = json.NewEncoder(w).Encode(draining(time.Hour))
		_ = server.Listener.Close()
	})
	client, err := NewClient(strings.TrimPrefix(server.URL, "http://"), "")
	require.NoError(t, err)
	var out strings.Builder
	require.NoError(t, client.DrainAndWait(t.Context(), contract.DrainRequest{}, 5*time.Millisecond, 0, &out))
	require.Contains(t, out.String(), "the gateway has ended")
}

// The progress says when a gateway waits for another one, and when it does not any more.
func TestProgressShowsTheWaitForAnotherGateway(t *testing.T) {
	var out strings.Builder
	p := progress{out: &out, connections: -1}
	report := draining(time.Hour)
	report.Drain.WaitsForAnother = true
	for range 2 {
		require.False(t, p.show(report))
	}
	report.Drain.WaitsForAnother = false
	for range 2 {
		require.False(t, p.show(report))
	}
	require.Equal(t, 2, strings.Count(out.String(), "until the deadline"), out.String())
	require.Equal(t, 1, strings.Count(out.String(), "waiting until another gateway serves"), out.String())
}
