package transport_test

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
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

// socketWithoutFiles returns a new socket, and leaves the process no file descriptor for another one until restore is
// called.
func socketWithoutFiles(t *testing.T) (socket int, restore func()) {
	t.Helper()
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
	return socket, func() {
		t.Helper()
		require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
		for _, fd := range fillers {
			require.NoError(t, unix.Close(fd))
		}
	}
}

// connectSocket connects a socket to a server and begins the handshake. It returns the errors of both.
func connectSocket(t *testing.T, socket int, url string) error {
	t.Helper()
	address, err := netip.ParseAddrPort(strings.TrimPrefix(url, "http://"))
	if err == nil {
		err = unix.Connect(socket, &unix.SockaddrInet4{Port: int(address.Port()), Addr: address.Addr().As4()})
	}
	if err == nil {
		_, err = unix.Write(socket, []byte(upgrade+hi))
	}
	return err
}

// clientOf returns the client of a socket, which the client owns from then on.
func clientOf(t *testing.T, socket int) *rawClient {
	t.Helper()
	file := os.NewFile(uintptr(socket), "")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	return newRawClient(t, conn)
}

// Clients wait while the process has no free file descriptor, and are accepted soon afterwards.
func TestHandshakeListenerWaitsForAFileDescriptor(t *testing.T) {
	_, url := serveEcho(t)
	first := connect(t, url)
	first.write(upgrade + hi)
	first.requireEcho()

	socket, restore := socketWithoutFiles(t)
	err := connectSocket(t, socket, url)
	first.write(hi)
	again := make([]byte, 4)
	_, readErr := first.in.Read(again)
	restore()
	require.NoError(t, err)
	require.NoError(t, readErr, "a connected client is served")
	clientOf(t, socket).requireEcho()
}

// A connection that ends is about to release its file descriptor, so that no client loses its place for another one.
func TestHandshakeListenerWaitsForAFileDescriptorOfAConnectionThatEnds(t *testing.T) {
	seen := &limitCounter{}
	h := &lingeringHandler{newTestHandler(), make(chan struct{}, 1), make(chan struct{})}
	echo := newTestHandler()
	echo.open = func(c transport.Conn) {
		echo.message = func(kind transport.Kind, data []byte) { c.Send(transport.NewFrame(kind, data)) }
	}
	var handlers atomic.Int32
	_, url := serve(t, func(*http.Request) (transport.Handler, error) {
		if handlers.Add(1) == 1 {
			return h, nil
		}
		return echo, nil
	}, func(o *transport.Options) { o.MaxConnections, o.Observer = 2, seen })
	ends := dial(t, url)
	slow := connect(t, url)
	slow.write(upgrade[:10])
	require.NoError(t, ends.CloseNow())
	<-h.ending

	socket, restore := socketWithoutFiles(t)
	err := connectSocket(t, socket, url)
	slow.write(upgrade[10:] + hi)
	slow.requireEcho()
	restore()
	close(h.release)
	require.NoError(t, err)
	require.Zero(t, seen.evicted.Load())
	clientOf(t, socket).requireEcho()
}
