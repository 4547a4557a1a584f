package transport_test

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// maxOpenFD returns the highest file descriptor of this process.
func maxOpenFD(t *testing.T) uint64 {
	t.Helper()
	// A new file gets the lowest free number: nothing is free below it.
	var last uint64
	entries, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	for _, e := range entries {
		n := uint64(0)
		for _, digit := range e.Name() {
			n = 10*n + uint64(digit-'0')
		}
		last = max(last, n)
	}
	return last
}

// Clients that reconnect together wait for each other, and none is evicted.
func TestHandshakeListenerLetsACrowdWait(t *testing.T) {
	// A client that takes longer than this may be evicted.
	const soon = 200 * time.Millisecond
	seen := &limitCounter{}
	_, url := serveEcho(t, func(o *transport.Options) { o.MaxHandshakes, o.Observer = 3, seen })
	for tries := 1; ; tries++ {
		started, before := time.Now(), seen.evicted.Load()
		crowd := make([]*rawClient, 0, 20)
		for range cap(crowd) {
			crowd = append(crowd, connect(t, url))
		}
		for _, p := range crowd {
			p.write(upgrade + hi)
		}
		if time.Since(started) > soon && tries < 10 {
			continue
		}
		for _, p := range crowd {
			p.requireEcho()
		}
		require.Equal(t, before, seen.evicted.Load())
		return
	}
}

// Clients wait while the process has no free file descriptor, and are accepted soon afterwards.
func TestHandshakeListenerWaitsForAFileDescriptor(t *testing.T) {
	_, url := serveEcho(t)
	first := connect(t, url)
	first.write(upgrade + hi)
	first.requireEcho()

	address, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(url, "http://"))
	require.NoError(t, err)
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	var limit unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	// Fill the gaps below, so that the next file would be above the limit.
	var fillers []int
	for top := maxOpenFD(t); ; {
		fd, err := unix.Dup(socket)
		require.NoError(t, err)
		fillers = append(fillers, fd)
		if uint64(fd) > top {
			break
		}
	}
	require.NoError(t,
		unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(fillers[len(fillers)-1]) + 1, Max: limit.Max}))
	err = unix.Connect(socket, &unix.SockaddrInet4{Port: address.Port, Addr: [4]byte{127, 0, 0, 1}})
	_, writeErr := unix.Write(socket, []byte(upgrade+hi))
	first.write(hi)
	again := make([]byte, 4)
	_, readErr := first.in.Read(again)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	require.NoError(t, err)
	require.NoError(t, writeErr)
	require.NoError(t, readErr, "a connected client is served")
	for _, fd := range fillers {
		require.NoError(t, unix.Close(fd))
	}

	file := os.NewFile(uintptr(socket), "")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	newRawClient(t, conn).requireEcho()
}
