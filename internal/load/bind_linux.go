package load

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// bindLate lets a port of a source address be used towards each server: it is chosen at connect, when
// the other end is known, instead of at bind.
func bindLate(_, _ string, conn syscall.RawConn) error {
	// Where the kernel does not know the option, ports run out earlier.
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
