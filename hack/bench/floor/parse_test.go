//go:build linux

package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/hack/bench/internal/canned"
)

// masked returns a client's frame.
func masked(opcode byte, payload []byte) []byte {
	f := canned.Frame(opcode, payload)
	f = f[:len(f)-len(payload)]
	f[1] |= 0x80
	key := []byte{1, 2, 3, 4}
	f = append(f, key...)
	for i, b := range payload {
		f = append(f, b^key[i%4])
	}
	return f
}

func TestParseFrameTakesPieces(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), size)
		whole := append(masked(canned.OpBinary, payload), "next"...)
		for _, cut := range []int{0, 1, 2, 5, len(whole) - 5} {
			_, n := parseFrame(whole[:min(cut, len(whole)-5)])
			require.Zero(t, n, "%d of a frame of %d", cut, size)
		}
		f, n := parseFrame(whole)
		require.Equal(t, len(whole)-len("next"), n)
		require.Equal(t, byte(canned.OpBinary), f.opcode)
		require.True(t, bytes.Equal(payload, f.payload))
	}
}

func TestAcceptedMatchesRFCExample(t *testing.T) {
	target, key := parseHead(
		[]byte("GET /chat HTTP/1.1\r\nHost: server.example.com\r\nsec-websocket-key:  dGhlIHNhbXBsZSBub25jZQ=="))
	require.Equal(t, "/chat", target)
	require.Contains(t, string(accepted(key)), "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")
}

func FuzzParse(f *testing.F) {
	f.Add(masked(canned.OpText, []byte("x")))
	f.Add([]byte{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		_, _ = parseHead(in)
		frame, n := parseFrame(in)
		require.LessOrEqual(t, n, len(in))
		require.LessOrEqual(t, len(frame.payload), n)
	})
}
