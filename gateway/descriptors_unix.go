//go:build unix

package gateway

import "syscall"

// maxOpenFiles returns how many files the process may open. The Go runtime has raised the soft limit to the hard limit.
func maxOpenFiles() (files uint64, known bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true //nolint:unconvert // FreeBSD's is signed
}
