package loss

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel keeps little for a client that does not read, so that the rest soon waits in the gateway.
// Segments are as small as outside of one machine: with those of the loopback it would keep megabytes, and
// would move next to nothing into a buffer that is smaller than one of them.
const (
	readBuffer  = 8 << 10
	segmentSize = 1400
)

// dialer makes connections with little room.
func dialer() *net.Dialer {
	return &net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) {
			err = errors.Join(
				unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_MAXSEG, segmentSize),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer))
		})
		return errors.Join(failed, err)
	}}
}

// slowPace is how many bytes a slow client reads in a second: more than its channels bring, and much less
// than comes at once when it is back.
const slowPace = 1 << 20

// line is a client's connection, which may be slow, and may stall.
type line struct {
	net.Conn
	slow bool
	// until is when the client reads again, in nanoseconds since 1970.
	until atomic.Int64
}

// stall makes whoever reads next wait.
func (l *line) stall(d time.Duration) { l.until.Store(time.Now().Add(d).UnixNano()) }

func (l *line) Read(b []byte) (int, error) {
	time.Sleep(time.Until(time.Unix(0, l.until.Load())))
	n, err := l.Conn.Read(b)
	if l.slow {
		time.Sleep(time.Duration(n) * time.Second / slowPace)
	}
	return n, err
}
