package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

// socket is the write side of a client's connection.
type socket interface {
	// write sends or queues all of b. The caller may change b afterwards. Several goroutines may call it.
	write(b []byte) error
	// close closes the connection. The caller holds the shard's mu.
	close()
}

// The values of client.state.
const (
	connecting int32 = iota
	open
	closed
)

// client is one connection. The mu of its shard guards the fields whose comments say nothing else.
type client struct {
	id int
	// channel is the one that the client publishes to, the first of its subscriptions.
	channel  int
	shard    *shard
	protocol protocolClient
	socket   socket
	state    atomic.Int32
	// ready receives the outcome of connecting once: nil when the client is subscribed.
	ready chan error
	// partial is the beginning of a frame whose rest has not arrived yet.
	partial []byte
	// fragments is the payload so far of a fragmented message (RFC 6455 section 5.4).
	fragments []byte
	// fragmented is set while a fragmented message is being received.
	fragmented bool
	// afterConnect is the message to send when connect is answered, or nil.
	afterConnect []byte
	// unsubscribed is the number of subscriptions that are not there yet.
	unsubscribed int
	// resume is kept across the client's connections when clients recover or stay on a changing fleet.
	resume *resumeState
	// lastRead is when the server sent something last. pingInterval is the time between the server's pings; 0 when it has
	// announced none.
	lastRead     int64
	pingInterval time.Duration
	// received is set when a message of the run has arrived over this connection.
	received bool

	// number is the number of the client's last publication. Only the publishing goroutine uses it.
	number uint32
	// measuredFrom is the number of the first publication that is measured; 0 while there is none.
	measuredFrom atomic.Uint32
	// recovery is what the client recovered when it subscribed. It is set before ready receives nil.
	recovery recovery
}

// maxFrame is the maximum payload in bytes of a frame that a client accepts.
const maxFrame = 64 << 20

// Reasons for a connection to end.
var (
	errFrameTooLarge = errors.New("the server sent a frame above 64 MiB")
	errCut           = errors.New("cut without a close frame")
)

// feed handles bytes that the socket received, and keeps a partial frame for the next call.
func (c *client) feed(data []byte, now int64) error {
	if len(c.partial) > 0 {
		c.partial = append(c.partial, data...)
		data = c.partial
	}
	rest, err := c.handleFrames(data, now)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		c.partial = nil
		return nil
	}
	// rest may be a part of partial: append moves it to the front.
	c.partial = append(c.partial[:0], rest...)
	return nil
}

// handleFrames handles all complete frames in data and returns the bytes behind them.
func (c *client) handleFrames(data []byte, now int64) (rest []byte, err error) {
	in := &c.shard.frames
	for len(data) > 0 {
		in.reader.Reset(data)
		h, err := ws.ReadHeaderBuffer(&in.reader, in.header[:])
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return data, nil
		}
		if err == nil {
			err = ws.CheckHeader(h, c.protocolState())
		}
		switch {
		case err != nil:
			return nil, fmt.Errorf("the server broke RFC 6455: %w", err)
		case h.Length > maxFrame:
			return nil, errFrameTooLarge
		case h.Length > int64(in.reader.Len()):
			return data, nil
		}
		start := len(data) - in.reader.Len()
		payload := data[start : start+int(h.Length)]
		if err := c.handleFrame(h, payload, now); err != nil {
			return nil, err
		}
		data = data[start+int(h.Length):]
	}
	return nil, nil
}

// frameReader is the scratch space that a shard's clients share to parse frame headers.
type frameReader struct {
	reader bytes.Reader
	header [ws.MaxHeaderSize]byte
}

// protocolState returns the state that ws.CheckHeader checks a frame against.
func (c *client) protocolState() ws.State {
	state := ws.StateClientSide
	if c.fragmented {
		state = state.Set(ws.StateFragmented)
	}
	return state
}

// handleFrame answers pings and close frames (RFC 6455 section 5.5) and passes complete messages to the protocol.
func (c *client) handleFrame(h ws.Header, payload []byte, now int64) error {
	switch {
	case h.OpCode == ws.OpPing:
		_ = c.socket.write(maskedFrame(nil, ws.OpPong, payload))
		return nil
	case h.OpCode == ws.OpPong:
		return nil
	case h.OpCode == ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		_ = c.socket.write(maskedFrame(nil, ws.OpClose, payload))
		return &closeError{code: int(code), reason: reason, how: "closed by the server"}
	case h.Fin && !c.fragmented:
		return c.protocol.handleMessage(c, payload, now)
	}
	c.fragments = append(c.fragments, payload...)
	c.fragmented = !h.Fin
	if c.fragmented {
		return nil
	}
	whole := c.fragments
	c.fragments = nil
	return c.protocol.handleMessage(c, whole, now)
}

// publication handles a message that the server sent in a line, and moves the position of its channel if positions are
// kept.
func (c *client) publication(line []byte, m message, now int64) {
	if name, found := findChannel(line); found && c.resume.enabled() {
		if index, subscribed := c.shard.worker.plan.subscriptionOf(c.id, name); subscribed {
			c.resume.advance(index, line)
		}
	}
	c.shard.delivered(c, m, now)
}

// answerPing answers a ping of the client protocol with the same data.
func (c *client) answerPing(data []byte) { _ = c.socket.write(maskedFrame(nil, ws.OpText, data)) }

// markSubscribed notes a subscription. The last one completes connecting. The caller holds the shard's mu, unless the
// handshake has subscribed.
func (c *client) markSubscribed() {
	if c.unsubscribed--; c.unsubscribed > 0 {
		return
	}
	if c.state.CompareAndSwap(connecting, open) {
		c.ready <- nil
	}
}

// maskedFrame appends a final, masked frame to b, as a client must send it (RFC 6455 section 5.3).
func maskedFrame(b []byte, op ws.OpCode, payload []byte) []byte {
	out := bytes.NewBuffer(b)
	mask := ws.NewMask()
	// A bytes.Buffer takes everything, and the length is not negative.
	_ = ws.WriteHeader(out, ws.Header{Fin: true, OpCode: op, Masked: true, Mask: mask, Length: int64(len(payload))})
	start := out.Len()
	out.Write(payload)
	b = out.Bytes()
	ws.Cipher(b[start:], mask, 0)
	return b
}
