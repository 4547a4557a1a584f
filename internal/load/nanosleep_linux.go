package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// nanosleep sleeps with a precision below a millisecond. Go's timers wake an idle process on whole milliseconds, which
// would count as latency.
func nanosleep(d time.Duration) {
	t := unix.NsecToTimespec(int64(d))
	// A signal may end the sleep early. The caller checks the clock and sleeps again.
	_ = unix.Nanosleep(&t, nil)
}
