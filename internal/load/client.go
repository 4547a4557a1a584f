package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// wire is a client's socket.
type wire interface {
	// write sends or queues all of b, which is the caller's again afterwards. It may be called from
	// several goroutines.
	write(b []byte) error
	close()
}

// The states of a client.
const (
	connecting int32 = iota
	open
	closed
)

// client is one connection. What has no word about it is guarded by its shard.
type client struct {
	id, channel int
	shard       *shard
	wire        wire
	state       atomic.Int32
	// ready gets the outcome of connecting, once.
	ready chan error
	// partial is the beginning of a frame, fragments that of a message, whose rest has not come yet.
	partial, fragments []byte
	fragmented         bool
	// past outlives the connection where clients recover.
	past *past

	// number is that of the last publication; the publishing goroutine's alone.
	number uint32
	// measuredFrom is the first publication that is measured; 0 while there is none.
	measuredFrom atomic.Uint32
	// recovery is what subscribing gave back; it is there when ready gets nil.
	recovery recovery
}

// largestFrame is what a client takes; nothing in a load test needs more.
const largestFrame = 64 << 20

// Reasons for a connection to end.
var (
	errFrameTooLarge = errors.New("the server sent a frame above 64 MiB")
	errCut           = errors.New("cut without a close frame")
)

// feed takes what the socket had.
func (c *client) feed(data []byte, now int64) error {
	if len(c.partial) > 0 {
		c.partial = append(c.partial, data...)
		data = c.partial
	}
	rest, err := c.frames(data, now)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		c.partial = nil
		return nil
	}
	// It may move bytes to the front of their own array.
	c.partial = append(c.partial[:0], rest...)
	return nil
}

// frames handles all that are whole and returns the rest.
func (c *client) frames(data []byte, now int64) (rest []byte, err error) {
	in := &c.shard.in
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
		case h.Length > largestFrame:
			return nil, errFrameTooLarge
		case h.Length > int64(in.reader.Len()):
			return data, nil
		}
		start := len(data) - in.reader.Len()
		payload := data[start : start+int(h.Length)]
		if err := c.frame(h, payload, now); err != nil {
			return nil, err
		}
		data = data[start+int(h.Length):]
	}
	return nil, nil
}

// inbox is what a shard's clients share for reading.
type inbox struct {
	reader bytes.Reader
	header [ws.MaxHeaderSize]byte
}

func (c *client) protocolState() ws.State {
	state := ws.StateClientSide
	if c.fragmented {
		state = state.Set(ws.StateFragmented)
	}
	return state
}

func (c *client) frame(h ws.Header, payload []byte, now int64) error {
	switch {
	case h.OpCode == ws.OpPing:
		_ = c.wire.write(maskedFrame(nil, ws.OpPong, payload))
		return nil
	case h.OpCode == ws.OpPong:
		return nil
	case h.OpCode == ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		_ = c.wire.write(maskedFrame(nil, ws.OpClose, payload))
		return fmt.Errorf("closed by the server: %d %s", code, reason)
	case h.Fin && !c.fragmented:
		return c.shard.worker.dialect.received(c, payload, now)
	}
	c.fragments = append(c.fragments, payload...)
	c.fragmented = !h.Fin
	if c.fragmented {
		return nil
	}
	whole := c.fragments
	c.fragments = nil
	return c.shard.worker.dialect.received(c, whole, now)
}

// pong answers a ping of the protocol.
func (c *client) pong(data []byte) { _ = c.wire.write(maskedFrame(nil, ws.OpText, data)) }

// subscribed ends connecting.
func (c *client) subscribed() {
	if c.state.CompareAndSwap(connecting, open) {
		c.ready <- nil
	}
}

// maskedFrame appends a frame as a client sends it.
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
