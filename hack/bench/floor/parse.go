//go:build linux

package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"strings"
)

// The opcodes of control frames, RFC 6455 section 11.8.
const (
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
)

// parseHead returns the request target and the key of a handshake, on which the answer depends.
func parseHead(head []byte) (target, key string) {
	for i, line := range strings.Split(string(head), "\r\n") {
		if i == 0 {
			if parts := strings.Split(line, " "); len(parts) == 3 {
				target = parts[1]
			}
			continue
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "Sec-WebSocket-Key") {
			key = strings.TrimSpace(value)
		}
	}
	return target, key
}

// accepted returns the answer to a handshake, RFC 6455 section 4.2.2.
func accepted(key string) []byte {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return bytes.Join([][]byte{
		[]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "),
		[]byte(base64.StdEncoding.EncodeToString(sum[:])), []byte("\r\n\r\n"),
	}, nil)
}

// frame is an unmasked frame of a client.
type frame struct {
	opcode  byte
	payload []byte
}

// parseFrame parses one frame at the beginning of b, unmasks it in place and returns its length (RFC 6455 section 5.2).
// The length is 0 when the frame is incomplete. Fragmented messages are not supported: the second fragment ends the
// connection.
func parseFrame(b []byte) (f frame, bytes int) {
	const mask = 4
	if len(b) < 2 {
		return f, 0
	}
	head, size := 2, uint64(b[1]&0x7F)
	switch size {
	case 126:
		head = 4
	case 127:
		head = 10
	}
	if len(b) < head+mask {
		return f, 0
	}
	switch size {
	case 126:
		size = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		size = binary.BigEndian.Uint64(b[2:])
	}
	if uint64(len(b)-head-mask) < size {
		return f, 0
	}
	key, payload := b[head:head+mask], b[head+mask:head+mask+int(size)]
	for i := range payload {
		payload[i] ^= key[i%mask]
	}
	return frame{b[0] & 0xF, payload}, head + mask + int(size)
}
