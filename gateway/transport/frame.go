package transport

import (
	"encoding/binary"
	"sync/atomic"
	"unicode/utf8"
)

// Kind is the type of a message: text or binary.
type Kind byte

// The kinds of messages. The values are the opcodes of RFC 6455 section 5.2.
const (
	Text   Kind = 0x1
	Binary Kind = 0x2
)

// Opcodes and bits of a frame's header, RFC 6455 section 5.2.
const (
	opContinuation = 0x0
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA

	finBit  = 0x80
	rsvBits = 0x70
	maskBit = 0x80
	// maxControlPayload is the maximum payload of a control frame in bytes, section 5.5.
	maxControlPayload = 125
	// maxCloseReason is the maximum length of a close frame's reason in bytes: the code takes two.
	maxCloseReason = 123
)

// Frame is a message as it is sent. Servers do not mask their frames (RFC 6455 section 5.1), so one Frame
// can be queued on any number of connections without a copy. The zero Frame is no message.
type Frame struct{ *payload }

// payload is what all copies of a Frame share.
type payload struct {
	// encoded is the complete frame, header included.
	encoded []byte
	// group is nil for a message that must not be dropped.
	group *DropGroup
	// reply marks a message that the client asked for. It is sent to one client only.
	reply bool
	// broadcast marks a message to so many clients that other messages go first.
	broadcast bool
	// queues counts the queues that hold the frame, so that its memory counts once.
	queues atomic.Int32
	// deflated caches the compressed form. It is nil until a connection needs it.
	deflated atomic.Pointer[payload]
}

// DropGroup is a series of messages of which a slow client may miss some, such as those of one channel.
type DropGroup struct {
	Policy DropPolicy
}

// DropPolicy says what happens to messages when the client does not keep up.
type DropPolicy byte

// The drop policies. A message without a DropGroup has the policy Disconnect.
const (
	// Disconnect closes the connection when its queue is full.
	Disconnect DropPolicy = iota
	// DropOldest drops the oldest droppable message when the queue is full.
	DropOldest
	// LatestOnly keeps only the latest message of the group while the socket's send buffer is full.
	LatestOnly
)

// dropPolicies are the names in specs and metrics.
var dropPolicies = [...]string{Disconnect: "Disconnect", DropOldest: "DropOldest", LatestOnly: "LatestOnly"}

// String returns the name that specs and metrics use.
func (p DropPolicy) String() string { return dropPolicies[p] }

// NewFrame encodes a message as one frame. It copies the payload.
func NewFrame(kind Kind, payload []byte) Frame {
	return encodeFrame(byte(kind), payload)
}

// IsZero reports whether the frame is no message.
func (f Frame) IsZero() bool { return f.payload == nil }

// InDropGroup adds the message to a group and returns the frame. The caller must not have sent the frame
// before.
func (f Frame) InDropGroup(g *DropGroup) Frame {
	f.group = g
	return f
}

// AsBroadcast marks a message to so many clients that other messages go first, and returns the frame. The
// caller must not have sent the frame before.
func (f Frame) AsBroadcast() Frame {
	f.broadcast = true
	return f
}

// IsBroadcast reports whether AsBroadcast has marked the message.
func (f Frame) IsBroadcast() bool { return f.broadcast }

// Ping returns a ping frame of RFC 6455 section 5.5.2. Browsers answer it without the page's help.
func Ping() Frame { return encodeFrame(opPing, nil) }

// dropPolicy returns Disconnect for a message without a group.
func (f Frame) dropPolicy() DropPolicy {
	if f.group == nil {
		return Disconnect
	}
	return f.group.Policy
}

// Len returns the number of bytes that are sent, header included.
func (f Frame) Len() int { return len(f.encoded) }

// encodeFrame encodes an unfragmented and unmasked frame, RFC 6455 section 5.2. opcode may contain RSV1.
func encodeFrame(opcode byte, message []byte) Frame {
	n := len(message)
	b := make([]byte, 0, n+10)
	b = append(b, finBit|opcode)
	switch {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = append(b, 126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b = append(b, 127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return Frame{&payload{encoded: append(b, message...)}}
}

// closeFrame encodes a close frame, RFC 6455 section 5.5.1. The body is empty for codes that must not be
// sent. A reason that is too long is cut between characters.
func closeFrame(c Close) Frame {
	if c.Code == CodeNoStatus || c.Code == CodeAbnormal || c.Code == 0 {
		return encodeFrame(opClose, nil)
	}
	reason := c.Reason
	for len(reason) > maxCloseReason || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, maxCloseReason)]
	}
	body := binary.BigEndian.AppendUint16(nil, uint16(c.Code))
	return encodeFrame(opClose, append(body, reason...))
}
