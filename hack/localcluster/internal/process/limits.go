package process

import (
	"fmt"
	"syscall"
)

// wantedFiles is what the kernel allows by default when it is asked.
const wantedFiles = 1 << 20

// RaiseFileLimit raises the limit of open files, which processes inherit that are started from now on. A login shell
// often allows 1024, and a gateway, which inherits containerd's limit, holds many more connections. It returns an error
// when the limit cannot be read or set.
func RaiseFileLimit() error {
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: wantedFiles, Max: wantedFiles})
	if err == nil {
		return nil
	}
	// The kernel refuses more than the hard limit, so use that.
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
