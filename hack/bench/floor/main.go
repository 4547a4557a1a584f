//go:build linux

// Command floor is the reference of `make bench`: every figure has a ratio to it. It is an event loop without the
// functions of a gateway. It accepts connections, gives canned answers, pings on a timer, and writes one prebuilt frame
// per subscriber with one system call each. A WebSocket server in Go can hardly do less.
package main

import (
	"fmt"
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/wsfleet/wsfleet/hack/bench/internal/canned"
)

func main() {
	flags := canned.ParseFlags()
	f := canned.New(canned.Frame)
	f.Ping(flags.PingInterval)
	listener, address, err := listen(flags.Listen)
	if err != nil {
		canned.Fail(fmt.Errorf("--listen %s: %w", flags.Listen, err))
	}
	ended := make(chan error)
	for range runtime.GOMAXPROCS(0) {
		go func() { ended <- run(listener, f) }()
	}
	canned.Serves("floor", address)
	canned.Fail(<-ended)
}

// backlog is longer than the kernel's limit, which applies then.
const backlog = 1 << 16

func listen(address string) (fd int, bound string, err error) {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return 0, "", fmt.Errorf("%w: write IPv4:port", err)
	}
	if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return 0, "", err
	}
	if err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, "", err
	}
	if err = unix.Bind(fd, &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}); err != nil {
		return 0, "", err
	}
	if err = unix.Listen(fd, backlog); err != nil {
		return 0, "", err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return 0, "", err
	}
	port := name.(*unix.SockaddrInet4).Port
	return fd, netip.AddrPortFrom(a.Addr(), uint16(port)).String(), nil
}
