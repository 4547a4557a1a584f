package transport

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// recordingFrameHandler records what a parser finds as text.
type recordingFrameHandler struct{ lines []string }

func (s *recordingFrameHandler) add(format string, args ...any) {
	s.lines = append(s.lines, fmt.Sprintf(format, args...))
}

func (s *recordingFrameHandler) onMessage(kind Kind, data []byte) { s.add("message %d %q", kind, data) }
func (s *recordingFrameHandler) onCompressedMessage(kind Kind, data []byte) {
	s.add("compressed %d %q", kind, data)
}
func (s *recordingFrameHandler) onPing(data []byte) { s.add("ping %q", data) }
func (s *recordingFrameHandler) onPong()            { s.add("pong") }
func (s *recordingFrameHandler) onClose(code int)   { s.add("close %d", code) }

// parse feeds the bytes in pieces of one size, and returns what the parser found.
func parse(limit int, data []byte, piece int) []string {
	return parseWith(parser{limit: limit}, data, piece)
}

// parseWith is parse with a given parser.
func parseWith(p parser, data []byte, piece int) []string {
	found := &recordingFrameHandler{}
	// The parser unmasks in place.
	data = clone(data)
	for len(data) > 0 {
		n := min(piece, len(data))
		if v := p.feed(data[:n], found); v != nil {
			found.add("violation %d", v.Code)
		}
		data = data[n:]
	}
	if len(p.partial) == 0 && p.kind == 0 && (p.partial != nil || p.data != nil || p.compressed) {
		found.add("memory held while idle")
	}
	return found.lines
}

// sent returns a frame as a client sends it, masked.
func sent(first byte, payload string) string { return sentMasked(first, payload, 0x12345678) }

func sentMasked(first byte, payload string, key uint32) string {
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], key)
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, maskBit|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, maskBit|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, maskBit|127), uint64(n))
	}
	// Mask byte by byte; the parser unmasks eight bytes at a time.
	masked := []byte(payload)
	for i := range masked {
		masked[i] ^= mask[i%4]
	}
	return string(b) + string(mask[:]) + string(masked)
}

// The cases are in the order of RFC 6455.
func TestParser(t *testing.T) {
	long, larger := strings.Repeat("l", 126), strings.Repeat("x", 1<<16)
	cases := []struct {
		name    string
		encoded string
		want    []string
	}{
		{"5.2 text", sent(0x81, "hello"), []string{`message 1 "hello"`}},
		{"5.2 binary", sent(0x82, "\x00\xff"), []string{`message 2 "\x00\xff"`}},
		{"5.2 empty", sent(0x81, "") + sent(0x82, ""), []string{`message 1 ""`, `message 2 ""`}},
		{"5.2 length of 16 bits", sent(0x81, long), []string{`message 1 "` + long + `"`}},
		{"5.2 length of 64 bits", sent(0x82, larger), []string{`message 2 "` + larger + `"`}},
		{"5.2 length that fits 7 bits in 16", "\x81\xfe\x00\x05\x00\x00\x00\x00hello", []string{"violation 1002"}},
		{"5.2 length that fits 16 bits in 64", "\x81\xff\x00\x00\x00\x00\x00\x00\x01\x00", []string{"violation 1002"}},
		{"5.2 highest bit of the length", "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00", []string{"violation 1002"}},
		{"5.2 reserved bits", sent(0xC1, "") + sent(0x81, "never read"), []string{"violation 1002"}},
		{"5.2 reserved opcode", sent(0x83, ""), []string{"violation 1002"}},
		{"5.2 reserved control opcode", sent(0x8B, ""), []string{"violation 1002"}},
		{"5.3 not masked", "\x81\x05hello", []string{"violation 1002"}},
		{"5.4 fragments", sent(0x01, "a") + sent(0x00, "b") + sent(0x00, "") + sent(0x80, "c"), []string{`message 1 "abc"`}},
		{"5.4 control frames between them", sent(0x02, "a") + sent(0x89, "p") + sent(0x8A, "") + sent(0x80, "b"),
			[]string{`ping "p"`, "pong", `message 2 "ab"`}},
		{"5.4 continuation of nothing", sent(0x80, "a"), []string{"violation 1002"}},
		{"5.4 message inside a message", sent(0x01, "a") + sent(0x81, "b"), []string{"violation 1002"}},
		{"5.5 fragmented control frame", sent(0x09, ""), []string{"violation 1002"}},
		{"5.5 long control frame", sent(0x89, long), []string{"violation 1002"}},
		{"5.5.1 close", sent(0x88, "\x03\xe8bye") + sent(0x81, "never read"), []string{"close 1000"}},
		{"5.5.1 close without a code", sent(0x88, ""), []string{"close 1005"}},
		{"5.5.1 close with half a code", sent(0x88, "\x03"), []string{"violation 1002"}},
		{"5.5.1 close whose reason is no text", sent(0x88, "\x03\xe8\xff"), []string{"violation 1007"}},
		{"5.5.3 unasked pong", sent(0x8A, "x"), []string{"pong"}},
		{"8.1 text over two frames, a character over both", sent(0x01, "\xc3") + sent(0x80, "\xa4"),
			[]string{`message 1 "ä"`}},
		{"8.1 text that is no text", sent(0x81, "\xed\xa0\x80"), []string{"violation 1007"}},
		{"10.4 message at the limit", sent(0x82, larger), []string{`message 2 "` + larger + `"`}},
		{"10.4 message above it", sent(0x82, larger+"x"), []string{"violation 1009"}},
		{"10.4 fragments above it", sent(0x02, larger) + sent(0x80, "x"), []string{"violation 1009"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{len(c.encoded), 1, 7, 1024} {
				require.Equal(t, c.want, parse(1<<16, []byte(c.encoded), piece), "in pieces of %d", piece)
			}
		})
	}
}

// RFC 7692 section 6: RSV1 of the first frame marks the message as compressed.
func TestParserFindsCompressedMessages(t *testing.T) {
	atMost := strings.Repeat("x", maxCompressedBytes(1000))
	cases := []struct {
		name    string
		encoded string
		want    []string
	}{
		{"compressed", sent(0xC1, "a"), []string{`compressed 1 "a"`}},
		{"not compressed", sent(0x81, "a"), []string{`message 1 "a"`}},
		{"in turn", sent(0xC2, "a") + sent(0x82, "b") + sent(0xC2, "c"),
			[]string{`compressed 2 "a"`, `message 2 "b"`, `compressed 2 "c"`}},
		{"fragments", sent(0x41, "a") + sent(0x89, "p") + sent(0x80, "b") + sent(0x81, "c"),
			[]string{`ping "p"`, `compressed 1 "ab"`, `message 1 "c"`}},
		{"its text is not looked at yet", sent(0xC1, "\xff"), []string{`compressed 1 "\xff"`}},
		{"RSV1 on a continuation", sent(0x41, "a") + sent(0xC0, "b"), []string{"violation 1002"}},
		{"RSV1 on a continuation of what is not compressed", sent(0x01, "a") + sent(0xC0, "b"), []string{"violation 1002"}},
		{"RSV1 on a ping", sent(0xC9, ""), []string{"violation 1002"}},
		{"RSV1 on a close", sent(0xC8, ""), []string{"violation 1002"}},
		{"RSV2", sent(0xA1, "a"), []string{"violation 1002"}},
		{"RSV3", sent(0x91, "a"), []string{"violation 1002"}},
		{"all of them", sent(0xF1, "a"), []string{"violation 1002"}},
		{"a little above the limit", sent(0xC2, atMost), []string{`compressed 2 "` + atMost + `"`}},
		{"more above it", sent(0xC2, atMost+"x"), []string{"violation 1009"}},
		{"fragments above it", sent(0x42, atMost) + sent(0x80, "x"), []string{"violation 1009"}},
		{"above it and not compressed", sent(0x82, atMost), []string{"violation 1009"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, piece := range []int{len(c.encoded), 1, 7} {
				require.Equal(t, c.want, parseWith(parser{limit: 1000, deflate: true}, []byte(c.encoded), piece), "in pieces of %d",
					piece)
			}
		})
	}
}

// RFC 6455 section 7.4.2 and the IANA registry.
func TestIsSendableFollowsTheRegistry(t *testing.T) {
	allowed := func(code int) bool {
		switch {
		case code >= 1000 && code <= 1003, code >= 1007 && code <= 1014, code >= 3000 && code <= 4999:
			return true
		}
		return false
	}
	for code := range 1 << 16 {
		require.Equal(t, allowed(code), isSendable(code), code)
	}
}

// A message that is too large is refused by its header. What follows costs no memory.
func TestParserRefusesLargeMessagesByTheirHeader(t *testing.T) {
	p := parser{limit: 100}
	require.Equal(t, CodeTooBig, p.feed([]byte("\x82\xfe\x10\x00"), &recordingFrameHandler{}).Code)
	require.Nil(t, p.feed(make([]byte, 1000), &recordingFrameHandler{}))
	require.Nil(t, p.partial)
}

// FuzzParser checks that the parser finds the same however the bytes are cut.
func FuzzParser(f *testing.F) {
	for _, seed := range []string{sent(0x81, "hello"), sent(0x01, "a") + sent(0x89, "") + sent(0x80, "b"),
		sent(0x88, "\x03\xe8"), sent(0x82, strings.Repeat("x", 300)), "\x81\xff\x80\x00\x00\x00\x00\x00\x00\x00",
		sent(0x8A, "x") + "\x81", sent(0xC1, "a"), sent(0x41, "a") + sent(0x89, "") + sent(0x80, "b"),
	} {
		f.Add([]byte(seed), uint8(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		for _, deflate := range []bool{false, true} {
			p := parser{limit: 200, deflate: deflate}
			require.Equal(t, parseWith(p, data, max(1, len(data))), parseWith(p, data, int(piece)+1))
		}
	})
}

func BenchmarkParser(b *testing.B) {
	for _, size := range []int{16, 100, 1000} {
		b.Run(fmt.Sprintf("%d bytes", size), func(b *testing.B) {
			data := []byte(sent(0x82, strings.Repeat("x", size)))
			p, found := parser{limit: 1 << 16}, discardFrames{}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if v := p.feed(data, found); v != nil {
					b.Fatal(v)
				}
			}
		})
	}
}

// discardFrames is a frameHandler that ignores everything.
type discardFrames struct{}

func (discardFrames) onMessage(Kind, []byte)           {}
func (discardFrames) onCompressedMessage(Kind, []byte) {}
func (discardFrames) onPing([]byte)                    {}
func (discardFrames) onPong()                          {}
func (discardFrames) onClose(int)                      {}
