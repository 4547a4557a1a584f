package transport

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// timerRecorder records when its timer fired.
type timerRecorder struct {
	timer
	fired []time.Duration
}

func (s *timerRecorder) onTimer(now time.Duration) { s.fired = append(s.fired, now) }

func newTimerRecorder() *timerRecorder {
	s := &timerRecorder{}
	s.owner = s
	return s
}

func TestTimingWheelFiresInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTimingWheel()
		defer w.close()
		at := []time.Duration{0, 1, tick - 1, tick, tick + 1, time.Second, wheelSlots * tick, wheelSlots*tick + 1, time.Hour}
		recorders := make([]*timerRecorder, 0, len(at))
		for _, d := range at {
			s := newTimerRecorder()
			w.set(&s.timer, d)
			recorders = append(recorders, s)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		for i, s := range recorders {
			require.Len(t, s.fired, 1, at[i])
			require.GreaterOrEqual(t, s.fired[0], at[i], "never early")
			require.LessOrEqual(t, s.fired[0], at[i]+tick, "a tick late at most")
		}
	})
}

func TestTimingWheelKeepsTheLastSetting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTimingWheel()
		defer w.close()
		moved, cleared := newTimerRecorder(), newTimerRecorder()
		w.set(&moved.timer, time.Second)
		w.set(&moved.timer, time.Minute)
		w.set(&cleared.timer, time.Second)
		w.clear(&cleared.timer)
		w.clear(&cleared.timer)
		time.Sleep(time.Hour)
		synctest.Wait()
		require.Len(t, moved.fired, 1)
		require.GreaterOrEqual(t, moved.fired[0], time.Minute)
		require.Empty(t, cleared.fired)
	})
}

// After any order of set and clear, exactly the timers that are set fire, once each.
func TestTimingWheelFiresExactlyWhatIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTimingWheel()
		defer w.close()
		recorders := make([]*timerRecorder, 50)
		set := map[int]bool{}
		for i := range recorders {
			recorders[i] = newTimerRecorder()
		}
		for range 2000 {
			i := rand.IntN(len(recorders))
			if set[i] = rand.IntN(3) > 0; set[i] {
				w.set(&recorders[i].timer, tick*time.Duration(1+rand.IntN(4)))
			} else {
				w.clear(&recorders[i].timer)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		for i, s := range recorders {
			require.Equal(t, set[i], len(s.fired) == 1, i)
		}
	})
}
