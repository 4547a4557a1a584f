package transport

import (
	"net"
	"sync"
	"time"
)

// blockingDriver drives any net.Conn: one goroutine reads, and one writes while frames wait. It is for
// connections that the event loop cannot drive, and for systems other than Linux.
type blockingDriver struct {
	conn *conn
	net  net.Conn
	// resumed gets a value for each resumeReading.
	resumed chan struct{}
	done    chan struct{}
	once    sync.Once
	// paused reports that the reader must wait for resumed. Only the reader goroutine uses it.
	paused bool
}

// blockingReadBuffer is the size of a reader's buffer in bytes.
const blockingReadBuffer = 4096

func newBlockingDriver(c *conn, nc net.Conn) *blockingDriver {
	return &blockingDriver{
		conn:    c,
		net:     nc,
		resumed: make(chan struct{}, 1),
		done:    make(chan struct{}),
	}
}

// start implements driver.
func (d *blockingDriver) start(early []byte) { go d.read(early) }

// read is the reader goroutine.
func (d *blockingDriver) read(b []byte) {
	buffer := make([]byte, blockingReadBuffer)
	for {
		if len(b) > 0 {
			d.conn.received(b)
		}
		if !d.waitResumed() {
			return
		}
		n, err := d.net.Read(buffer)
		if b = buffer[:n]; err != nil {
			if n > 0 {
				d.conn.received(b)
			}
			d.conn.readEnded()
			return
		}
	}
}

// waitResumed waits while reading is paused. It reports false when the driver was closed meanwhile.
func (d *blockingDriver) waitResumed() bool {
	if !d.paused {
		return true
	}
	d.paused = false
	select {
	case <-d.resumed:
		return true
	case <-d.done:
		return false
	}
}

// schedule implements driver.
func (d *blockingDriver) schedule(bool) { go d.write() }

// flush implements driver.
func (d *blockingDriver) flush() { go d.write() }

// blockedAfter is how long a write takes before the client counts as one that does not keep up.
const blockedAfter = 10 * time.Millisecond

// write is the goroutine of one write turn.
func (d *blockingDriver) write() {
	for {
		batch := d.conn.nextBatch()
		if batch == nil {
			return
		}
		buffers := make(net.Buffers, 0, len(batch.frames))
		for _, f := range batch.frames {
			buffers = append(buffers, f.encoded)
		}
		late := time.AfterFunc(blockedAfter, d.conn.markBlocked)
		_, err := buffers.WriteTo(d.net)
		late.Stop()
		if err != nil {
			d.close()
			d.conn.failed()
			return
		}
		if !d.conn.batchWritten(batch) {
			return
		}
	}
}

// pauseReading implements driver. The connection calls it in the reader goroutine.
func (d *blockingDriver) pauseReading() { d.paused = true }

// resumeReading implements driver.
func (d *blockingDriver) resumeReading() { d.resumed <- struct{}{} }

// closeWrite implements driver.
func (d *blockingDriver) closeWrite() {
	if half, ok := d.net.(interface{ CloseWrite() error }); ok {
		// An error means that the socket is dead, which the reader notices too.
		_ = half.CloseWrite()
	}
}

// close implements driver.
func (d *blockingDriver) close() {
	d.once.Do(func() {
		close(d.done)
		// The connection has ended; there is no use for an error.
		_ = d.net.Close()
	})
}
