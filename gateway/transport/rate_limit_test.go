package transport

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConnectRateLimiterAllowsOneSecondsWorthAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newConnectRateLimiter(10)
		for range 10 {
			require.Nil(t, l.admit())
		}
		refusal := l.admit()
		require.Equal(t, http.StatusServiceUnavailable, refusal.Status)
		require.Equal(t, "rate", refusal.Reason)
		require.Equal(t, time.Second, refusal.RetryAfter)
		require.Contains(t, refusal.Message, "10 new connections per second")

		time.Sleep(100 * time.Millisecond)
		require.Nil(t, l.admit(), "one more after a tenth of a second")
		require.NotNil(t, l.admit())
		time.Sleep(time.Hour)
		for range 10 {
			require.Nil(t, l.admit())
		}
		require.NotNil(t, l.admit(), "unused rate is not saved up")
	})
}

// Refused clients come back one after the other.
func TestConnectRateLimiterSpreadsRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newConnectRateLimiter(10)
		for range 10 {
			require.Nil(t, l.admit())
		}
		delays := map[time.Duration]int{}
		for range 1000 {
			delays[l.admit().RetryAfter.Round(100*time.Millisecond)]++
		}
		require.Equal(t, 11, delays[time.Second], "the first, before a second is over, and the one whose turn it is then")
		for after := 1100 * time.Millisecond; after < maxRetryAfter; after += 100 * time.Millisecond {
			require.Equal(t, 1, delays[after], after)
		}
		require.Equal(t, 1000-11-289, delays[maxRetryAfter], "the longest delay")
		time.Sleep(maxRetryAfter + time.Second)
		for range 10 {
			require.Nil(t, l.admit())
		}
		require.Equal(t, time.Second, l.admit().RetryAfter, "clients that did not come back do not delay others for long")
	})
}

func TestConnectRateLimiterWithoutARate(t *testing.T) {
	l := newConnectRateLimiter(0)
	for range 10_000 {
		require.Nil(t, l.admit())
	}
}

func TestMessageRateLimiter(t *testing.T) {
	type step struct {
		at      time.Duration
		allowed int
	}
	for name, c := range map[string]struct {
		rate  int
		steps []step
	}{
		"one second's worth at once": {10, []step{{0, 10}, {0, 0}}},
		"then one by one": {10,
			[]step{{0, 10}, {99 * time.Millisecond, 0}, {100 * time.Millisecond, 1}, {350 * time.Millisecond, 2}}},
		"not more after a long time": {10, []step{{0, 10}, {time.Hour, 10}}},
		"a late first message":       {10, []step{{time.Hour, 10}}},
		"one a second":               {1, []step{{0, 1}, {999 * time.Millisecond, 0}, {time.Second, 1}}},
		"that a second has no parts": {3, []step{{0, 3}, {334 * time.Millisecond, 1}}},
		"a million":                  {1_000_000, []step{{0, 1_000_000}}},
	} {
		t.Run(name, func(t *testing.T) {
			var l messageRateLimiter
			for _, s := range c.steps {
				for n := range s.allowed {
					require.True(t, l.allow(s.at, c.rate), "message %d at %v", n+1, s.at)
				}
				require.False(t, l.allow(s.at, c.rate), "one more at %v", s.at)
			}
		})
	}
}
