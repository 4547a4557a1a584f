package load

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// blockingSocket is a connection that a goroutine of its own reads. It is used for TLS and on systems without epoll.
type blockingSocket struct {
	// mu orders the writes.
	mu      sync.Mutex
	conn    net.Conn
	timeout time.Duration
}

const blockingBuffer = 4 << 10

// addBlocking makes a client's blockingSocket and starts its reader goroutine. The caller holds mu.
func (s *shard) addBlocking(c *client, conn net.Conn, timeout time.Duration) {
	c.socket = &blockingSocket{conn: conn, timeout: timeout}
	go func() {
		buffer := make([]byte, blockingBuffer)
		for {
			n, err := conn.Read(buffer)
			now := s.worker.clock.now()
			s.mu.Lock()
			if n > 0 {
				s.read(c, buffer[:n], now)
				s.creditWindow()
			}
			if err != nil {
				s.connectionLost(c, readError(err))
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

func (w *blockingSocket) write(b []byte) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	// On a closed connection the write fails.
	_ = w.conn.SetWriteDeadline(time.Now().Add(w.timeout))
	_, err := w.conn.Write(b)
	return err
}

func (w *blockingSocket) close() { _ = w.conn.Close() }
