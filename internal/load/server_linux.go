package load

import (
	"fmt"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// readProcess reads the CPU time from the process's CPU clock, which counts nanoseconds of all threads, including
// those that have ended. /proc/PID/stat counts ticks of 10 ms, and /proc/PID/schedstat only the first thread.
func readProcess(pid int) (r reading, err error) {
	var used unix.Timespec
	if err := unix.ClockGettime(processClock(pid), &used); err != nil {
		return r, fmt.Errorf("there is no process %d to observe", pid)
	}
	process, err := procfs.NewProc(pid)
	if err != nil {
		return r, err
	}
	status, err := process.NewStatus()
	if err != nil {
		return r, err
	}
	if status.VmRSS == 0 {
		return r, fmt.Errorf("process %d has ended", pid)
	}
	return reading{time.Duration(used.Nano()).Seconds(), int64(status.VmRSS)}, nil
}

// processClock returns the id of a process's CPU clock, as clock_getcpuclockid(3) does.
func processClock(pid int) int32 {
	const scheduler = 2
	return int32(^pid<<3 | scheduler)
}
