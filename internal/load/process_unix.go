//go:build unix

package load

import (
	"syscall"
	"time"
)

// openFiles returns how many files this process may open. The Go runtime has raised the soft limit to the hard one.
func openFiles() (files int, known bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return int(min(uint64(limit.Cur), 1<<30)), true //nolint:unconvert // FreeBSD's is signed
}

// ownCPUSeconds returns the CPU time that this process has used.
func ownCPUSeconds() float64 {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()).Seconds()
}
