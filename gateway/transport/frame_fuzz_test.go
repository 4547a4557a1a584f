package transport

import (
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzMessage sends one message with any mask in two fragments with a ping between them, in pieces of any
// size. The message arrives unchanged, or it is refused because it is no UTF-8.
func FuzzMessage(f *testing.F) {
	f.Add([]byte("hello"), uint32(0x37fa213d), uint8(2), uint8(1), true)
	f.Add([]byte("gr\u00fc\u00dfe \U0001f44b"), uint32(0), uint8(3), uint8(7), true)
	f.Add([]byte("\xed\xa0\x80"), uint32(1), uint8(1), uint8(255), true)
	f.Add([]byte{0, 255, 254}, uint32(0xffffffff), uint8(0), uint8(3), false)
	f.Add(make([]byte, 300), uint32(0x01020304), uint8(126), uint8(5), false)
	f.Fuzz(func(t *testing.T, payload []byte, mask uint32, cut, piece uint8, isText bool) {
		kind, at := Binary, min(int(cut), len(payload))
		if isText {
			kind = Text
		}
		bytes := sentMasked(byte(kind), string(payload[:at]),
			mask) + sent(finBit|opPing, "p") + sentMasked(finBit, string(payload[at:]), mask)
		want := []string{`ping "p"`, fmt.Sprintf("message %d %q", kind, payload)}
		switch {
		case len(payload) > 1000:
			want[1] = "violation 1009"
		case isText && !utf8.Valid(payload):
			want[1] = "violation 1007"
		}
		require.Equal(t, want, parse(1000, []byte(bytes), int(piece)+1))
	})
}

// FuzzClose checks that every Close is encoded as a valid close frame with the same code.
func FuzzClose(f *testing.F) {
	f.Add(uint16(1000), "bye")
	f.Add(uint16(3001), "gr\u00fc\u00dfe \U0001f44b")
	f.Add(uint16(1012), string(make([]byte, 200)))
	f.Add(uint16(4999), "\xff\xfe")
	f.Add(uint16(1005), "not shown")
	f.Fuzz(func(t *testing.T, code uint16, reason string) {
		if !isSendable(int(code)) && code != CodeNoStatus && code != CodeAbnormal && code != 0 {
			return
		}
		encoded := closeFrame(Close{int(code), reason}).encoded
		require.Equal(t, byte(finBit|opClose), encoded[0])
		require.LessOrEqual(t, int(encoded[1]), maxControlPayload)
		require.Len(t, encoded, 2+int(encoded[1]))
		got, violation := closeCode(encoded[2:])
		require.Nil(t, violation)
		if !isSendable(int(code)) {
			code = CodeNoStatus
		}
		require.Equal(t, int(code), got)
	})
}
