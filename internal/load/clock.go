package load

import "time"

// clock counts nanoseconds since 1970. The processes of one machine share it closely, and it does not jump when the
// wall clock is set during a run.
type clock struct {
	start time.Time
	base  int64
}

func newClock() clock {
	now := time.Now()
	return clock{start: now, base: now.UnixNano()}
}

func (c clock) now() int64 { return c.base + int64(time.Since(c.start)) }

func (c clock) until(t int64) time.Duration { return time.Duration(t - c.now()) }
