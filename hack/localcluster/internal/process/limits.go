package process

import (
	"fmt"
	"syscall"
)

// wantedFiles is what the kernel allows by default when it is asked.
const wantedFiles = 1 << 20

// RaiseFileLimit lets what is started from now on open as many files as the
// machine grants. A login shell often allows 1024, and a gateway, whose limit
// comes down from containerd's, holds many more connections.
func RaiseFileLimit() error {
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: wantedFiles, Max: wantedFiles})
	if err == nil {
		return nil
	}
	// Not to be had: then all of what there is.
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("read the limit of open files: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raise the limit of open files to %d: %w", limit.Max, err)
	}
	return nil
}
