package transport

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// sleeper notes when it was woken.
type sleeper struct {
	timer
	woken []time.Duration
}

func (s *sleeper) wake(now time.Duration) { s.woken = append(s.woken, now) }

func newSleeper() *sleeper {
	s := &sleeper{}
	s.owner = s
	return s
}

func TestWheelWakesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel()
		defer w.close()
		at := []time.Duration{0, 1, tick - 1, tick, tick + 1, time.Second, slots * tick, slots*tick + 1, time.Hour}
		sleepers := make([]*sleeper, 0, len(at))
		for _, d := range at {
			s := newSleeper()
			w.set(&s.timer, d)
			sleepers = append(sleepers, s)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for i, s := range sleepers {
			require.Len(t, s.woken, 1, at[i])
			require.GreaterOrEqual(t, s.woken[0], at[i], "never early")
			require.LessOrEqual(t, s.woken[0], at[i]+tick, "a tick late at most")
		}
	})
}

func TestWheelForgetsWhatIsClearedAndKeepsTheLastSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel()
		defer w.close()
		moved, cleared := newSleeper(), newSleeper()
		w.set(&moved.timer, time.Second)
		w.set(&moved.timer, time.Minute)
		w.set(&cleared.timer, time.Second)
		w.clear(&cleared.timer)
		w.clear(&cleared.timer)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, moved.woken, 1)
		require.GreaterOrEqual(t, moved.woken[0], time.Minute)
		require.Empty(t, cleared.woken)
	})
}

// In any order of setting and clearing, who is on the wheel is woken, once, and nobody else.
func TestWheelListsHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWheel()
		defer w.close()
		sleepers := make([]*sleeper, 50)
		set := map[int]bool{}
		for i := range sleepers {
			sleepers[i] = newSleeper()
		}
		for range 2000 {
			i := rand.IntN(len(sleepers))
			if set[i] = rand.IntN(3) > 0; set[i] {
				w.set(&sleepers[i].timer, tick*time.Duration(1+rand.IntN(4)))
			} else {
				w.clear(&sleepers[i].timer)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, s := range sleepers {
			require.Equal(t, set[i], len(s.woken) == 1, i)
		}
	})
}
