package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// pause sleeps for less than a scheduling tick. Go's timers wake an idle process on whole
// milliseconds, which would count as latency.
func pause(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	// Woken early, the caller looks at the clock and sleeps again.
	_ = unix.Nanosleep(&t, nil)
}
