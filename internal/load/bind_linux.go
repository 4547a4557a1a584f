package load

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// bindLate makes the kernel choose the local port at connect instead of at bind, so that one port can be used towards
// several servers.
func bindLate(_, _ string, conn syscall.RawConn) error {
	// On a kernel without the option, ports run out earlier.
	return conn.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	})
}
