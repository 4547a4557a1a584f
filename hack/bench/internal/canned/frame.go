package canned

import "encoding/binary"

// Frame encodes a message of a server as one frame (RFC 6455 section 5.2), for servers that write bytes.
func Frame(opcode byte, payload []byte) []byte {
	n := len(payload)
	frame := make([]byte, 0, n+10)
	frame = append(frame, 0x80|opcode)
	switch {
	case n < 126:
		frame = append(frame, byte(n))
	case n < 1<<16:
		frame = binary.BigEndian.AppendUint16(append(frame, 126), uint16(n))
	default:
		frame = binary.BigEndian.AppendUint64(append(frame, 127), uint64(n))
	}
	return append(frame, payload...)
}
