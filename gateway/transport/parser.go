package transport

import (
	"encoding/binary"
	"unicode/utf8"
)

// frameHandler receives what a parser finds. The handler owns the slices that it gets.
type frameHandler interface {
	// onMessage gets a complete message. Text is valid UTF-8.
	onMessage(kind Kind, data []byte)
	// onCompressedMessage gets a complete message that must still be decompressed and checked for UTF-8.
	onCompressedMessage(kind Kind, data []byte)
	onPing(data []byte)
	onPong()
	// onClose gets the code of the client's close frame. The parser ignores everything after it.
	onClose(code int)
}

// parser splits the bytes of one client into messages and control frames, RFC 6455 section 5. It holds no
// memory between complete messages.
type parser struct {
	// limit is the maximum size of a message in bytes, over all its fragments.
	limit int
	// deflate reports that compression was negotiated.
	deflate bool
	// partial holds the beginning of an incomplete frame.
	partial []byte
	// kind is the kind of the incomplete fragmented message, and 0 without one.
	kind Kind
	// data holds the payload of that message so far.
	data []byte
	// compressed reports that this message is compressed.
	compressed bool
	// charged is the number of bytes of partial and data that the budget is charged for.
	charged int
	// stopped reports that the client closed or violated the protocol. Further bytes are ignored.
	stopped bool
}

// header is the header of a frame, RFC 6455 section 5.2.
type header struct {
	fin        bool
	compressed bool
	opcode     byte
	mask       [4]byte
	// size is the header's length in bytes. It is 0 while the header is incomplete.
	size int
	// length is the payload's length in bytes.
	length int
}

// feed parses bytes, and unmasks the payloads in place. The result is not nil when the client violates
// the protocol; it says how to close the connection. Afterwards the parser ignores all bytes.
func (p *parser) feed(b []byte, h frameHandler) (violation *Close) {
	if p.stopped {
		return nil
	}
	if len(p.partial) > 0 {
		p.partial = append(p.partial, b...)
		b = p.partial
	}
	for {
		head, v := p.header(b)
		if v != nil {
			p.stop()
			return v
		}
		if head.size == 0 || len(b) < head.size+head.length {
			break
		}
		payload := b[head.size : head.size+head.length]
		b = b[head.size+head.length:]
		unmask(payload, head.mask)
		if v := p.frame(head, payload, h); v != nil {
			p.stop()
			return v
		}
		if p.stopped {
			return nil
		}
	}
	if len(b) == 0 {
		p.partial = nil
		return nil
	}
	// Copy the rest: b may belong to the caller, and a large partial would keep the parsed bytes alive.
	if len(p.partial) != len(b) {
		p.partial = append([]byte(nil), b...)
	}
	return nil
}

// isIdle reports whether no frame or message is incomplete, so that the parser can be dropped.
func (p *parser) isIdle() bool { return !p.stopped && p.partial == nil && p.kind == 0 }

// heldBytes returns the memory of the incomplete message in bytes.
func (p *parser) heldBytes() int { return cap(p.partial) + cap(p.data) }

// stop drops all state. The parser ignores further bytes.
func (p *parser) stop() {
	p.stopped, p.partial, p.kind, p.data, p.compressed = true, nil, 0, nil, false
}

// header reads the header of the next frame. It reports a violation as soon as the header shows one,
// before the payload arrives.
func (p *parser) header(b []byte) (h header, violation *Close) {
	if len(b) < 2 {
		return header{}, nil
	}
	h.fin, h.compressed, h.opcode = b[0]&finBit != 0, b[0]&rsv1 != 0, b[0]&0x0F
	shortLength := int(b[1] &^ maskBit)
	if v := p.checkHeader(h, b, shortLength); v != nil {
		return h, v
	}
	length, lengthBytes, v := payloadLength(b, shortLength)
	if v != nil {
		return h, v
	}
	size := 2 + lengthBytes + len(h.mask)
	if length < 0 || len(b) < 2+lengthBytes {
		return header{}, nil
	}
	if h.opcode < opClose && length > int64(p.maxBytes(h)-len(p.data)) {
		return h, tooBig()
	}
	if len(b) < size {
		return header{}, nil
	}
	copy(h.mask[:], b[2+lengthBytes:])
	h.size, h.length = size, int(length)
	return h, nil
}

// checkHeader checks the first two bytes of a frame, RFC 6455 sections 5.1 to 5.5 and RFC 7692
// section 6.
func (p *parser) checkHeader(h header, b []byte, shortLength int) (violation *Close) {
	switch {
	case b[0]&rsvBits&^rsv1 != 0, h.compressed && !p.deflate:
		return protocolError("reserved bits are set, and no extension was negotiated for them")
	case h.compressed && (h.opcode == opContinuation || h.opcode >= opClose):
		return protocolError("only the first frame of a message may be marked as compressed")
	case b[1]&maskBit == 0:
		return protocolError("frames of a client must be masked")
	case h.opcode >= opClose && (h.opcode > opPong || !h.fin || shortLength > maxControlPayload):
		return protocolError("control frame that is unknown, fragmented or longer than 125 bytes")
	case h.opcode < opClose && h.opcode > byte(Binary):
		return protocolError("unknown opcode")
	case h.opcode == opContinuation && p.kind == 0:
		return protocolError("continuation of no message")
	case (h.opcode == byte(Text) || h.opcode == byte(Binary)) && p.kind != 0:
		return protocolError("new message inside a fragmented one")
	}
	return nil
}

// maxBytes returns the maximum number of bytes that the message of a frame may have on the wire. The
// content of a compressed message is limited again when it is decompressed.
func (p *parser) maxBytes(h header) int {
	if h.compressed || p.compressed {
		return maxCompressedBytes(p.limit)
	}
	return p.limit
}

// payloadLength reads the payload length, RFC 6455 section 5.2, which must be encoded in as few bytes as
// possible. shortLength is the value of the 7 bits in the second byte. length is -1 while it is
// incomplete, lengthBytes the size of the extended length.
func payloadLength(b []byte, shortLength int) (length int64, lengthBytes int, violation *Close) {
	switch {
	case shortLength < 126:
		return int64(shortLength), 0, nil
	case shortLength == 126:
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

// frame handles one complete frame, whose payload is unmasked.
func (p *parser) frame(head header, payload []byte, h frameHandler) (violation *Close) {
	switch head.opcode {
	case opPing:
		h.onPing(clone(payload))
		return nil
	case opPong:
		h.onPong()
		return nil
	case opClose:
		code, v := closeCode(payload)
		if v != nil {
			return v
		}
		p.stop()
		h.onClose(code)
		return nil
	}
	return p.dataFrame(head, payload, h)
}

// dataFrame handles one frame of a message, RFC 6455 section 5.4.
func (p *parser) dataFrame(head header, payload []byte, h frameHandler) (violation *Close) {
	kind, compressed := p.kind, p.compressed
	if kind == 0 {
		kind, compressed = Kind(head.opcode), head.compressed
	}
	if !head.fin {
		p.kind, p.compressed, p.data = kind, compressed, append(p.data, payload...)
		return nil
	}
	message := append(p.data, payload...) //nolint:gocritic // the handler owns the message
	if message == nil {
		message = []byte{}
	}
	p.kind, p.compressed, p.data = 0, false, nil
	switch {
	case compressed:
		h.onCompressedMessage(kind, message)
	case kind == Text && !utf8.Valid(message):
		return notUTF8()
	default:
		h.onMessage(kind, message)
	}
	return nil
}

// closeCode reads the body of a close frame, RFC 6455 sections 5.5.1 and 7.4.
func closeCode(body []byte) (code int, violation *Close) {
	switch len(body) {
	case 0:
		return CodeNoStatus, nil
	case 1:
		return 0, protocolError("close frame with half a code")
	}
	code = int(binary.BigEndian.Uint16(body))
	switch {
	case !isSendable(code):
		return 0, protocolError("close code that may not be sent")
	case !utf8.Valid(body[2:]):
		return 0, &Close{CodeInvalidData, "close reason is not UTF-8"}
	}
	return code, nil
}

// isSendable reports whether a close frame may contain the code, RFC 6455 section 7.4: registered codes
// that are not reserved for local use, and the codes of libraries and applications.
func isSendable(code int) bool {
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

// notUTF8 is the violation of RFC 6455 section 8.1.
func notUTF8() *Close { return &Close{CodeInvalidData, "text message is not UTF-8"} }

// clone returns a copy that is not nil.
func clone(b []byte) []byte { return append([]byte{}, b...) }

// unmask undoes a client's masking in place, RFC 6455 section 5.3, eight bytes at a time.
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
