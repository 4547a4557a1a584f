package transport

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTurnstileLetsASecondsWorthInAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(10)
		for range 10 {
			require.Nil(t, s.pass())
		}
		refusal := s.pass()
		require.Equal(t, http.StatusServiceUnavailable, refusal.Status)
		require.Equal(t, "rate", refusal.Reason)
		require.Equal(t, time.Second, refusal.RetryAfter)
		require.Contains(t, refusal.Message, "10 new connections per second")

		time.Sleep(100 * time.Millisecond)
		require.Nil(t, s.pass(), "one more after a tenth of a second")
		require.NotNil(t, s.pass())
		time.Sleep(time.Hour)
		for range 10 {
			require.Nil(t, s.pass())
		}
		require.NotNil(t, s.pass(), "time without clients is not saved up")
	})
}

// Whoever is refused gets a turn of its own: the refused do not come back all at once.
func TestRefusedClientsComeBackOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTurnstile(10)
		for range 10 {
			require.Nil(t, s.pass())
		}
		told := map[time.Duration]int{}
		for range 1000 {
			told[s.pass().RetryAfter.Round(100*time.Millisecond)]++
		}
		require.Equal(t, 11, told[time.Second], "the first, before a second is over, and the one whose turn it is then")
		for after := 1100 * time.Millisecond; after < longestRetry; after += 100 * time.Millisecond {
			require.Equal(t, 1, told[after], after)
		}
		require.Equal(t, 1000-11-289, told[longestRetry], "nobody is told to stay away for longer")
		time.Sleep(longestRetry + time.Second)
		for range 10 {
			require.Nil(t, s.pass())
		}
		require.Equal(t, time.Second, s.pass().RetryAfter, "who did not come back costs others nothing for long")
	})
}

func TestTurnstileWithoutARate(t *testing.T) {
	s := newTurnstile(0)
	for range 10_000 {
		require.Nil(t, s.pass())
	}
}

func TestAllowance(t *testing.T) {
	type step struct {
		at      time.Duration
		allowed int
	}
	for name, c := range map[string]struct {
		rate  int
		steps []step
	}{
		"a second's worth at once":   {10, []step{{0, 10}, {0, 0}}},
		"then one by one":            {10, []step{{0, 10}, {99 * time.Millisecond, 0}, {100 * time.Millisecond, 1}, {350 * time.Millisecond, 2}}},
		"not more after a long time": {10, []step{{0, 10}, {time.Hour, 10}}},
		"a late first message":       {10, []step{{time.Hour, 10}}},
		"one a second":               {1, []step{{0, 1}, {999 * time.Millisecond, 0}, {time.Second, 1}}},
		"that a second has no parts": {3, []step{{0, 3}, {334 * time.Millisecond, 1}}},
		"a million":                  {1_000_000, []step{{0, 1_000_000}}},
	} {
		t.Run(name, func(t *testing.T) {
			var a allowance
			for _, s := range c.steps {
				for n := range s.allowed {
					require.True(t, a.spend(s.at, c.rate), "message %d at %v", n+1, s.at)
				}
				require.False(t, a.spend(s.at, c.rate), "one more at %v", s.at)
			}
		})
	}
}
