package transport

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// order notes for whom something was written, by protocol.
type order struct {
	Observer
	written []string
	first   func()
}

func (o *order) MessagesSent(protocol string, _, _ int) {
	if o.written = append(o.written, protocol); len(o.written) == 1 {
		o.first()
	}
}

// A broadcast to thousands does not hold up who has a message of their own.
func TestOthersGoAheadOfABroadcast(t *testing.T) {
	o := &order{}
	s := NewServer(Options{MaxConnections: 1, MaxQueuedBytes: 1 << 20, CloseTimeout: time.Second, Observer: o, Logger: slog.New(slog.DiscardHandler)})
	defer s.wheel.close()
	l, err := newLoop()
	require.NoError(t, err)
	// Its turns are this test's.
	l.close()
	open := func(protocol string) *conn {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		c := s.newConn(peerIP("127.0.0.1:1"), nil, &Endpoint{Protocol: protocol})
		w := &pollWire{conn: c, loop: l, fd: int32(pair[0])}
		c.wire = w
		t.Cleanup(func() {
			w.shut()
			require.NoError(t, unix.Close(pair[1]))
		})
		return c
	}
	other := open("other")
	o.first = func() { require.True(t, other.Send(NewFrame(Text, []byte("hi")))) }
	frame := NewFrame(Text, []byte("to all")).AsBroadcast()
	for range 3 * bulkAtOnce {
		require.True(t, open("many").Send(frame))
	}
	l.take(&turn{scratch: make([]byte, 0, writeBuffer)})
	require.Len(t, o.written, 3*bulkAtOnce+1)
	require.Equal(t, bulkAtOnce, slices.Index(o.written, "other"))
	require.Empty(t, l.lane)
}
