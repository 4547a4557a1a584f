package transport

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// Why a client was given up, as counted.
const (
	dropSlow      = "slow"
	dropHeartbeat = "heartbeat"
)

// conn is one connection: a goroutine that reads, a goroutine that writes, and a queue between the
// writer and everybody else.
type conn struct {
	server   *Server
	endpoint *Endpoint
	handler  Handler
	id       string
	ip       netip.Addr
	opened   time.Time
	// ctx ends with abort.
	ctx    context.Context
	cancel context.CancelFunc
	// net and ws are there when the handshake is answered. ws reads and never writes: the writer
	// goroutine is the only one that does.
	net net.Conn
	ws  *websocket.Conn

	// wake tells the writer that something waits; it holds one token at most.
	wake chan struct{}
	// stop ends the writer without a flush, written is closed when it has ended.
	stop    chan struct{}
	written chan struct{}

	mu    sync.Mutex
	queue queue
	pulse *pulse
	// busy: the handler works on a message, and what the peer sent after it is not read yet.
	busy bool
	// closing: a close frame is queued, nothing may follow it. farewell is what it says.
	closing  bool
	farewell Close
	// aborted: the connection was given up, maybe before it had a socket.
	aborted bool
	// linger ends the wait for a peer that does not answer the close frame.
	linger *time.Timer
}

func (c *conn) ID() string           { return c.id }
func (c *conn) RemoteIP() netip.Addr { return c.ip }
func (c *conn) OpenedAt() time.Time  { return c.opened }

func (c *conn) Context() context.Context { return c.ctx }

func (c *conn) QueuedBytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queue.bytes
}

func (c *conn) Send(f Frame) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.push(f)
}

// push queues a frame; the caller holds the lock.
func (c *conn) push(f Frame) bool {
	if c.closing {
		return false
	}
	if !c.queue.push(f) {
		c.queue.drop()
		c.drop(dropSlow, c.endpoint.Codes.Slow)
		return false
	}
	c.signal()
	return true
}

func (c *conn) Close(cl Close) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close(cl)
}

// close queues the close frame and bounds the time until the end; the caller holds the lock.
func (c *conn) close(cl Close) bool {
	if c.closing {
		return false
	}
	c.closing, c.farewell = true, cl
	c.server.remaining.Add(-1)
	if c.pulse != nil {
		c.pulse.timer.Stop()
	}
	c.queue.force(closeFrame(cl))
	c.linger = time.AfterFunc(c.server.options.CloseTimeout, c.abort)
	c.signal()
	return true
}

// drop gives a client up, says so in the log and counts it; the caller holds the lock.
func (c *conn) drop(reason string, cl Close) {
	if !c.close(cl) {
		return
	}
	c.server.options.Observer.ClientDropped(reason)
	c.server.options.Logger.Info("client dropped", slog.String("reason", reason), slog.Int("code", cl.Code),
		slog.String("connection", c.id), slog.String("protocol", c.endpoint.Protocol), slog.String("ip", c.ip.String()))
}

// abort ends the connection whatever still waits.
func (c *conn) abort() {
	c.mu.Lock()
	c.aborted = true
	nc := c.net
	c.mu.Unlock()
	c.cancel()
	if nc != nil {
		// Errors of closing a dead socket help nobody.
		_ = nc.Close()
	}
}

func (c *conn) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write is the writer goroutine: everything that waits goes out in one call, until the close frame
// is out or the connection broke.
func (c *conn) write() {
	defer close(c.written)
	for {
		select {
		case <-c.wake:
		case <-c.stop:
			return
		}
		c.mu.Lock()
		batch, last := c.queue.take(), c.closing
		c.mu.Unlock()
		if len(batch) == 0 {
			continue
		}

		messages := len(batch)
		buffers := net.Buffers(batch)
		n, err := buffers.WriteTo(c.net)

		c.mu.Lock()
		c.queue.written(batch, int(n))
		c.mu.Unlock()
		if err != nil {
			c.abort()
			return
		}
		c.server.options.Observer.MessagesSent(c.endpoint.Protocol, messages, int(n))
		if last {
			return
		}
	}
}
