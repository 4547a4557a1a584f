package transport

import (
	"net"
	"sync"
	"time"
)

// blockingWire drives any net.Conn with a goroutine that reads, and one that writes while there is
// something. It is for what the event loop cannot drive, and for systems other than Linux.
type blockingWire struct {
	conn    *conn
	net     net.Conn
	resumed chan struct{}
	done    chan struct{}
	once    sync.Once
}

// blockingRead is how much is read at once.
const blockingRead = 4096

func newBlockingWire(c *conn, nc net.Conn) *blockingWire {
	return &blockingWire{conn: c, net: nc, resumed: make(chan struct{}, 1), done: make(chan struct{})}
}

func (w *blockingWire) start(early []byte) { go w.read(early) }

func (w *blockingWire) read(b []byte) {
	buffer := make([]byte, blockingRead)
	for {
		if len(b) > 0 && !w.conn.received(b) {
			select {
			case <-w.resumed:
			case <-w.done:
				return
			}
		}
		n, err := w.net.Read(buffer)
		if b = buffer[:n]; err != nil {
			if n > 0 {
				w.conn.received(b)
			}
			w.conn.end()
			return
		}
	}
}

func (w *blockingWire) schedule(bool) { go w.write() }
func (w *blockingWire) flush()        { go w.write() }

// stuckAfter is how long a write may take before the client counts as one that does not keep up.
const stuckAfter = 10 * time.Millisecond

func (w *blockingWire) write() {
	for {
		batch := w.conn.take()
		if batch == nil {
			return
		}
		buffers := make(net.Buffers, 0, len(batch.frames))
		for _, f := range batch.frames {
			buffers = append(buffers, f.wire)
		}
		late := time.AfterFunc(stuckAfter, w.conn.stall)
		_, err := buffers.WriteTo(w.net)
		late.Stop()
		if err != nil {
			w.conn.abort()
			return
		}
		if !w.conn.wrote(batch) {
			return
		}
	}
}

func (w *blockingWire) pause() {}

func (w *blockingWire) resume() { w.resumed <- struct{}{} }

func (w *blockingWire) closeWrite() {
	if half, ok := w.net.(interface{ CloseWrite() error }); ok {
		// Errors of a dead socket help nobody: its reader ends too.
		_ = half.CloseWrite()
	}
}

func (w *blockingWire) shut() {
	w.once.Do(func() {
		close(w.done)
		// Errors of closing a dead socket help nobody.
		_ = w.net.Close()
	})
}
