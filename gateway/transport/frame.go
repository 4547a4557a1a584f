package transport

import (
	"encoding/binary"
	"sync/atomic"
	"unicode/utf8"
)

// Kind is what a message holds.
type Kind byte

// The kinds of message; their values are the opcodes of RFC 6455.
const (
	Text   Kind = 0x1
	Binary Kind = 0x2
)

const (
	opContinuation = 0x0
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80
	// longestControl is what a control frame holds at most.
	longestControl = 125
	// longestReason is what a close frame has left for its reason: 125 bytes less the code.
	longestReason = 123
)

// Frame is a message as it goes over the wire. Servers do not mask, so one Frame can be queued on
// any number of connections without a copy.
type Frame struct{ *payload }

// payload is what all copies of a Frame share.
type payload struct {
	wire []byte
	// stream is what the message is part of, if a slow client may miss parts of it.
	stream *DropGroup
	// answer: the client has asked for it. It goes to one client only.
	answer bool
	// bulk: it goes to so many that others need not wait until all have it.
	bulk bool
	// queues counts where it waits: the memory is one, however many wait for it.
	queues atomic.Int32
	// packed is the message's compressed form, once somebody wants it.
	packed atomic.Pointer[payload]
}

// DropGroup is a sequence of messages that a slow client need not get all of.
type DropGroup struct {
	Policy DropPolicy
}

// DropPolicy is what happens to a client's messages when it does not keep up.
type DropPolicy byte

// The policies. Disconnect is that of messages without a stream.
const (
	// Disconnect closes the connection when its queue is full.
	Disconnect DropPolicy = iota
	// DropOldest drops the oldest message of such streams when the queue is full.
	DropOldest
	// LatestOnly keeps one message of the stream, the latest, for as long as the client's socket is full.
	LatestOnly
)

// policies are as in specs and metrics.
var policies = [...]string{Disconnect: "Disconnect", DropOldest: "DropOldest", LatestOnly: "LatestOnly"}

func (p DropPolicy) String() string { return policies[p] }

// NewFrame encodes a message. The payload is copied.
func NewFrame(kind Kind, payload []byte) Frame {
	return encodeFrame(byte(kind), payload)
}

// IsZero tells that there is no message.
func (f Frame) IsZero() bool { return f.payload == nil }

// InDropGroup makes a message part of a stream. Call it before the frame is sent anywhere.
func (f Frame) InDropGroup(s *DropGroup) Frame {
	f.stream = s
	return f
}

// AsBroadcast marks a message that goes to so many that others need not wait until all have it. Call it
// before the frame is sent anywhere.
func (f Frame) AsBroadcast() Frame {
	f.bulk = true
	return f
}

// Ping is the ping of RFC 6455, which browsers answer by themselves.
func Ping() Frame { return encodeFrame(opPing, nil) }

func (f Frame) policy() DropPolicy {
	if f.stream == nil {
		return Disconnect
	}
	return f.stream.Policy
}

// Len is the number of bytes on the wire.
func (f Frame) Len() int { return len(f.wire) }

func encodeFrame(opcode byte, message []byte) Frame {
	n := len(message)
	wire := make([]byte, 0, n+10)
	wire = append(wire, finBit|opcode)
	switch {
	case n < 126:
		wire = append(wire, byte(n))
	case n < 1<<16:
		wire = append(wire, 126)
		wire = binary.BigEndian.AppendUint16(wire, uint16(n))
	default:
		wire = append(wire, 127)
		wire = binary.BigEndian.AppendUint64(wire, uint64(n))
	}
	return Frame{&payload{wire: append(wire, message...)}}
}

// closeFrame encodes a close. A code that must not be sent (none was received) becomes an empty body.
func closeFrame(c Close) Frame {
	if c.Code == CodeNoStatus || c.Code == CodeAbnormal || c.Code == 0 {
		return encodeFrame(opClose, nil)
	}
	reason := c.Reason
	for len(reason) > longestReason || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, longestReason)]
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(c.Code))
	return encodeFrame(opClose, append(body, reason...))
}
