package metrics

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

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
