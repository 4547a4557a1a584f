package transport

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// A gateway that is busy comes late to read requests: it does not close the connections of the clients that sent them.
func TestHandshakeListenerKeepsClientsThatItHasNotRead(t *testing.T) {
	s := NewServer(Options{MaxConnections: 1, MaxHandshakes: 1, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(s.Close)
	sockets, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = unix.Close(sockets[0])
		_ = unix.Close(sockets[1])
	})
	h := &handshakeListener{server: s}
	require.False(t, h.isFull())
	p := &pendingConn{listener: h, fd: int32(sockets[0]), since: s.wheel.now()}
	h.pending.add(p)
	require.True(t, h.isFull(), "the client had no time yet")
	require.False(t, h.mayEvict(), "nor when there is no file descriptor left")
	p.since -= time.Minute
	require.False(t, h.isFull(), "the client has sent nothing")
	require.True(t, h.mayEvict())

	_, err = unix.Write(sockets[1], []byte("GET"))
	require.NoError(t, err)
	require.True(t, h.isFull())
	_, err = unix.Read(sockets[0], make([]byte, 8))
	require.NoError(t, err)
	require.False(t, h.isFull(), "the rest is missing")
	p.fd = closedFD
	require.False(t, h.isFull())
	h.pending.remove(p)
	require.False(t, h.mayEvict())
}
