package transport

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// writeOrder is an Observer that records the protocols of connections in the order of their writes.
type writeOrder struct {
	Observer
	written []string
	// onFirst is called after the first write.
	onFirst func()
}

func (o *writeOrder) MessagesSent(protocol string, _, _ int) {
	if o.written = append(o.written, protocol); len(o.written) == 1 {
		o.onFirst()
	}
}

// A broadcast does not delay the messages of other clients.
func TestEventLoopLetsOthersGoBeforeABroadcast(t *testing.T) {
	o := &writeOrder{}
	s := NewServer(Options{
		MaxConnections: 1,
		MaxQueuedBytes: 1 << 20,
		CloseTimeout:   time.Second,
		Observer:       o,
		Logger:         slog.New(slog.DiscardHandler),
	})
	defer s.wheel.close()
	l, err := newEventLoop()
	require.NoError(t, err)
	// The test calls the writer itself.
	l.close()
	open := func(protocol string) *conn {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		c := s.newConn(peerIP("127.0.0.1:1"), nil, &Endpoint{Protocol: protocol})
		d := &epollDriver{conn: c, loop: l, fd: int32(pair[0])}
		c.driver = d
		t.Cleanup(func() {
			d.close()
			require.NoError(t, unix.Close(pair[1]))
		})
		return c
	}
	other := open("other")
	o.onFirst = func() { require.True(t, other.Send(NewFrame(Text, []byte("hi")))) }
	frame := NewFrame(Text, []byte("to all")).AsBroadcast()
	for range 3 * broadcastChunk {
		require.True(t, open("many").Send(frame))
	}
	l.writeAll(&writer{scratch: make([]byte, 0, writeBufferSize)})
	require.Len(t, o.written, 3*broadcastChunk+1)
	require.Equal(t, broadcastChunk, slices.Index(o.written, "other"))
	require.Empty(t, l.scheduled)
}
