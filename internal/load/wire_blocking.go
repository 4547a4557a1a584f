package load

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// blockingWire is any connection, read by a goroutine of its own: TLS, and systems without epoll.
type blockingWire struct {
	mu      sync.Mutex
	conn    net.Conn
	timeout time.Duration
}

const blockingBuffer = 4 << 10

func (s *shard) addBlocking(c *client, conn net.Conn, timeout time.Duration) {
	c.wire = &blockingWire{conn: conn, timeout: timeout}
	go func() {
		buffer := make([]byte, blockingBuffer)
		for {
			n, err := conn.Read(buffer)
			now := s.worker.clock.now()
			s.mu.Lock()
			if n > 0 {
				s.read(c, buffer[:n], now)
				s.settle()
			}
			if err != nil {
				s.end(c, readError(err))
			}
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
}

func readError(err error) error {
	if errors.Is(err, io.EOF) {
		return errCut
	}
	return err
}

func (w *blockingWire) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	// A connection that is gone fails the write.
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
	_, err := w.conn.Write(b)
	return err
}

func (w *blockingWire) close() { _ = w.conn.Close() }
