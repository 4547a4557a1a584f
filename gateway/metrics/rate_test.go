package metrics

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// What a rollout is stopped for is counted apart from what any gateway refuses all the time.
func TestRatesOfRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		rates := func() []float64 { return []float64{m.RejectRate() * 60, m.CrowdRate() * 60} }
		for _, reason := range []string{"full", "per_ip", "per_user", "handshake_timeout", "proxy_protocol", "draining",
			"malformed", "not_websocket", "token_expired"} {
			m.ConnectionRefused(reason)
		}
		require.Equal(t, []float64{0, 0}, rates())
		for _, reason := range []string{"origin", "bad_request", "channel_limit", "token", "permission", "hook", "broker",
			"internal"} {
			m.ConnectionRefused(reason)
		}
		m.ConnectFailed()
		m.ConnectionRefused("rate")
		m.ConnectionRefused("handshake_crowd")
		require.InDeltaSlice(t, []float64{9, 2}, rates(), 1e-9)
		time.Sleep(61 * time.Second)
		require.Equal(t, []float64{0, 0}, rates())
	})
}

func TestRateIsTheAverageOfTheLastMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New()
		require.Zero(t, m.ConnectRate())
		for range 120 {
			m.ConnectionAccepted("plain")
		}
		require.InDelta(t, 2.0, m.ConnectRate(), 0)
		time.Sleep(30 * time.Second)
		for range 60 {
			m.ConnectionAccepted("centrifuge")
		}
		require.InDelta(t, 3.0, m.ConnectRate(), 0)

		time.Sleep(31 * time.Second)
		require.InDelta(t, 1.0, m.ConnectRate(), 0, "the first ones are more than a minute ago")
		time.Sleep(time.Hour)
		require.Zero(t, m.ConnectRate())
		m.ConnectionAccepted("plain")
		require.Positive(t, m.ConnectRate(), "after a pause that is longer than all buckets")
	})
}
