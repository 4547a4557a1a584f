package loss

import (
	"errors"
	"net"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel buffers little for a client that does not read, so that the gateway soon has to queue the rest. Segments
// are as small as between machines: with the large segments of the loopback interface the kernel would buffer
// megabytes, and could hardly move data into a buffer that is smaller than one segment.
const (
	readBuffer  = 8 << 10
	segmentSize = 1400
)

// dialer returns a dialer whose connections have small buffers.
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

// slowBytesPerSecond is how many bytes a slow client reads per second: more than its channels publish, and much less
// than arrives at once when it recovers.
const slowBytesPerSecond = 1 << 20

// slowConn is a client's connection that can read slowly and stall.
type slowConn struct {
	net.Conn
	slow bool
	// stalledUntil is when the client reads again, in nanoseconds since 1970.
	stalledUntil atomic.Int64
}

// stall delays the next reads.
func (l *slowConn) stall(d time.Duration) { l.stalledUntil.Store(time.Now().Add(d).UnixNano()) }

func (l *slowConn) Read(b []byte) (int, error) {
	time.Sleep(time.Until(time.Unix(0, l.stalledUntil.Load())))
	n, err := l.Conn.Read(b)
	if l.slow {
		time.Sleep(time.Duration(n) * time.Second / slowBytesPerSecond)
	}
	return n, err
}
