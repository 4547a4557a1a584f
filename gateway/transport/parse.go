package transport

import (
	"encoding/binary"
	"unicode/utf8"
)

// incoming is what a parser finds. Slices are the receiver's to keep.
type incoming interface {
	message(kind Kind, data []byte)
	// compressed is a message that is still to be decompressed, and checked for UTF-8.
	compressed(kind Kind, data []byte)
	ping(data []byte)
	pong()
	// closed is the peer's close frame; nothing comes after it.
	closed(code int)
}

// parser turns the bytes of one client into messages and control frames, in the order of RFC 6455,
// section 5. It holds no memory between whole messages.
type parser struct {
	// limit bounds a message, however many frames it comes in.
	limit int
	// deflate: compression was negotiated.
	deflate bool
	// partial is the beginning of a frame whose end has not come yet.
	partial []byte
	// kind and data are a fragmented message so far; kind is 0 while there is none.
	kind Kind
	data []byte
	// packed: the fragmented message is compressed.
	packed bool
	// deaf: the peer has closed or has broken the protocol. What it says now counts no more.
	deaf bool
}

// header is a frame's header as read from the wire.
type header struct {
	fin    bool
	packed bool
	opcode byte
	mask   [4]byte
	size   int
	length int
}

// feed parses what came. A violation is how to close the connection, and ends the parsing.
func (p *parser) feed(b []byte, in incoming) (violation *Close) {
	if p.deaf {
		return nil
	}
	if len(p.partial) > 0 {
		p.partial = append(p.partial, b...)
		b = p.partial
	}
	for {
		h, v := p.header(b)
		if v != nil {
			p.stop()
			return v
		}
		if h.size == 0 || len(b) < h.size+h.length {
			break
		}
		payload := b[h.size : h.size+h.length]
		b = b[h.size+h.length:]
		unmask(payload, h.mask)
		if v := p.frame(h, payload, in); v != nil {
			p.stop()
			return v
		}
		if p.deaf {
			return nil
		}
	}
	if len(b) == 0 {
		p.partial = nil
		return nil
	}
	// A copy either way: b may be the caller's, and a large partial would keep what was parsed alive.
	if len(p.partial) != len(b) {
		p.partial = append([]byte(nil), b...)
	}
	return nil
}

// isIdle tells that nothing has begun that has not ended.
func (p *parser) isIdle() bool { return !p.deaf && p.partial == nil && p.kind == 0 }

func (p *parser) stop() {
	p.deaf, p.partial, p.kind, p.data, p.packed = true, nil, 0, nil, false
}

// header reads a frame's header and refuses what may not be, before a byte of its payload has come.
// Its size is 0 while it is incomplete.
func (p *parser) header(b []byte) (h header, violation *Close) {
	if len(b) < 2 {
		return header{}, nil
	}
	h.fin, h.packed, h.opcode = b[0]&finBit != 0, b[0]&rsv1 != 0, b[0]&0x0F
	short := int(b[1] &^ maskBit)
	switch {
	case b[0]&rsvBits&^rsv1 != 0, h.packed && !p.deflate:
		return h, protocolError("reserved bits are set, and no extension was negotiated for them")
	case h.packed && (h.opcode == opContinuation || h.opcode >= opClose):
		return h, protocolError("only the first frame of a message may be marked as compressed")
	case b[1]&maskBit == 0:
		return h, protocolError("frames of a client must be masked")
	case h.opcode >= opClose && (h.opcode > opPong || !h.fin || short > longestControl):
		return h, protocolError("control frame that is unknown, fragmented or longer than 125 bytes")
	case h.opcode < opClose && h.opcode > byte(Binary):
		return h, protocolError("unknown opcode")
	case h.opcode == opContinuation && p.kind == 0:
		return h, protocolError("continuation of no message")
	case (h.opcode == byte(Text) || h.opcode == byte(Binary)) && p.kind != 0:
		return h, protocolError("new message inside a fragmented one")
	}
	length, lengthBytes, v := payloadLength(b, short)
	if v != nil {
		return h, v
	}
	size := 2 + lengthBytes + len(h.mask)
	if length < 0 || len(b) < 2+lengthBytes {
		return header{}, nil
	}
	if h.opcode < opClose && length > int64(p.bound(h)-len(p.data)) {
		return h, tooBig()
	}
	if len(b) < size {
		return header{}, nil
	}
	copy(h.mask[:], b[2+lengthBytes:])
	h.size, h.length = size, int(length)
	return h, nil
}

// bound is how many bytes the message of a frame may have on the wire. What a compressed one holds is
// bounded again when it is decompressed.
func (p *parser) bound(h header) int {
	if h.packed || p.packed {
		return longestDeflated(p.limit)
	}
	return p.limit
}

// payloadLength reads the extended length, -1 while it is incomplete. Lengths must take the fewest
// bytes that hold them.
func payloadLength(b []byte, short int) (length int64, bytes int, violation *Close) {
	switch {
	case short < 126:
		return int64(short), 0, nil
	case short == 126:
		if len(b) < 4 {
			return -1, 2, nil
		}
		if n := binary.BigEndian.Uint16(b[2:]); n >= 126 {
			return int64(n), 2, nil
		}
	default:
		if len(b) < 10 {
			return -1, 8, nil
		}
		if n := binary.BigEndian.Uint64(b[2:]); n >= 1<<16 && n < 1<<63 {
			return int64(n), 8, nil
		}
	}
	return 0, 0, protocolError("payload length in the wrong form")
}

// frame handles one whole frame with its payload unmasked in place.
func (p *parser) frame(h header, payload []byte, in incoming) *Close {
	switch h.opcode {
	case opPing:
		in.ping(clone(payload))
		return nil
	case opPong:
		in.pong()
		return nil
	case opClose:
		code, v := closeCode(payload)
		if v != nil {
			return v
		}
		p.stop()
		in.closed(code)
		return nil
	}
	kind, packed := p.kind, p.packed
	if kind == 0 {
		kind, packed = Kind(h.opcode), h.packed
	}
	if !h.fin {
		p.kind, p.packed, p.data = kind, packed, append(p.data, payload...)
		return nil
	}
	whole := append(p.data, payload...) //nolint:gocritic // handed over with all it holds
	if whole == nil {
		whole = []byte{}
	}
	p.kind, p.packed, p.data = 0, false, nil
	switch {
	case packed:
		in.compressed(kind, whole)
	case kind == Text && !utf8.Valid(whole):
		return notUTF8()
	default:
		in.message(kind, whole)
	}
	return nil
}

// closeCode reads a close frame's body, section 5.5.1 and 7.4.
func closeCode(body []byte) (int, *Close) {
	switch len(body) {
	case 0:
		return CodeNoStatus, nil
	case 1:
		return 0, protocolError("close frame with half a code")
	}
	code := int(binary.BigEndian.Uint16(body))
	switch {
	case !sendable(code):
		return 0, protocolError("close code that may not be sent")
	case !utf8.Valid(body[2:]):
		return 0, &Close{CodeInvalidData, "close reason is not UTF-8"}
	}
	return code, nil
}

// sendable tells whether a close code may stand in a frame: those of the IANA registry that are not
// for local use, and those left to libraries and applications.
func sendable(code int) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == CodeNoStatus, code == CodeAbnormal:
		return false
	}
	return code >= CodeNormal && code <= 1014
}

func protocolError(reason string) *Close { return &Close{CodeProtocolError, reason} }

func tooBig() *Close { return &Close{CodeTooBig, "message is larger than the gateway's limit"} }

func notUTF8() *Close { return &Close{CodeInvalidData, "text message is not UTF-8"} }

func clone(b []byte) []byte { return append([]byte{}, b...) }

// unmask undoes a client's masking in place, eight bytes at a time.
func unmask(b []byte, mask [4]byte) {
	key := uint64(binary.LittleEndian.Uint32(mask[:]))
	key |= key << 32
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= mask[i&3]
	}
}
