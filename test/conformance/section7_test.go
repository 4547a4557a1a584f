package conformance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The codes that are valid in a close frame, RFC 6455 section 7.4 and its registry, and codes that are not.
var (
	goodCodes = []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4321,
		4999}
	badCodes = []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999, 5000, 9999, 65535}
)

// closings returns the cases of RFC 6455 sections 7 and 5.5.1.
func (s *rawSuite) closings(t *testing.T) {
	run := func(name string, test func(t *testing.T)) { s.run(t, s.peer, "7", name, test) }
	// closesWith sends frames that end in a close frame and reads the answer.
	closesWith := func(t *testing.T, frames string, code int) {
		w := open(t, s.plain, channelOf(t))
		w.send(t, frames)
		w.ends(t, code)
	}
	for _, code := range goodCodes {
		run(fmt.Sprintf("%d is answered with itself", code), func(t *testing.T) { closesWith(t, closing(code, ""), code) })
	}
	for _, code := range badCodes {
		run(fmt.Sprintf("%d may not be sent", code), func(t *testing.T) {
			body := string([]byte{byte(code >> 8), byte(code)})
			closesWith(t, frame(fin|closes, body), 1002)
			closesWith(t, frame(fin|closes, body+"with a reason"), 1002)
		})
	}
	for name, c := range map[string]struct {
		frames string
		code   int
	}{
		"without a code":                  {closing(noCode, ""), noCode},
		"with half a code":                {frame(fin|closes, "\x03"), 1002},
		"with a reason":                   {closing(1000, "good bye"), 1000},
		"with the longest reason":         {closing(1000, strings.Repeat("r", 123)), 1000},
		"with a reason that is too long":  {closing(1000, strings.Repeat("r", 124)), 1002},
		"with a reason in UTF-8":          {closing(1000, "auf Wiedersehen, grüße 👋"), 1000},
		"with a character cut short":      {closing(1000, "\xe2\x82"), 1007},
		"with a bad code and a bad text":  {closing(1004, "\xff"), 1002},
		"in a fragmented message":         {frame(text, "never whole") + closing(1001, ""), 1001},
		"twice":                           {closing(1000, "") + closing(1001, ""), 1000},
		"and a ping after it":             {closing(1000, "") + frame(fin|ping, "late"), 1000},
		"and a message after it":          {closing(1000, "") + frame(fin|text, "late"), 1000},
		"and a broken frame after it":     {closing(1000, "") + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 1000},
		"and the beginning of one after":  {closing(1000, "") + "\x81", 1000},
		"in the middle of a chatty write": {frame(fin|pong, "") + closing(3000, "") + frame(fin|pong, ""), 3000},
	} {
		run("a close "+name, func(t *testing.T) { closesWith(t, c.frames, c.code) })
	}

	run("byte by byte", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t))
		for _, b := range []byte(closing(4000, "slowly")) {
			w.send(t, string([]byte{b}))
		}
		w.ends(t, 4000)
	})
	run("what was sent before the close is delivered", func(t *testing.T) {
		path := channelOf(t)
		listener := open(t, s.plain, path)
		w := open(t, s.plain, path)
		w.send(t, frame(fin|text, "last words")+closing(1000, ""))
		listener.expect(t, fin|text, "last words")
	})
	run("what was sent after it is not", func(t *testing.T) {
		path := channelOf(t)
		listener := open(t, s.plain, path)
		w := open(t, s.plain, path)
		w.send(t, closing(1000, "")+frame(fin|text, "late"))
		w.ends(t, 1000)
		listener.send(t, frame(fin|text, "own"))
		listener.expect(t, fin|text, "own")
	})
	run("what was sent after a broken frame is not", func(t *testing.T) {
		path := channelOf(t)
		listener := open(t, s.plain, path)
		w := open(t, s.plain, path)
		w.send(t, frame(fin|rsv2|text, "")+frame(fin|text, "late"))
		w.ends(t, 1002)
		listener.send(t, frame(fin|text, "own"))
		listener.expect(t, fin|text, "own")
	})
	// The gateway closes because of the message and the peer by itself. Each close frame answers the other.
	run("both at once", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t)+"&channel=second")
		w.send(t, frame(fin|text, "to nowhere")+closing(4001, "me first"))
		w.ends(t, 1008)
	})
	run("the gateway first, the peer answers", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t)+"&channel=second")
		w.send(t, frame(fin|text, "to nowhere"))
		r, err := w.receive()
		require.NoError(t, err)
		require.Equal(t, 1008, r.closeCode())
		require.NotEmpty(t, r.payload[2:], "a reason that helps the client's developer")
		w.send(t, closing(1008, ""))
		w.silent(t)
	})
	run("the gateway first, the peer never answers", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t)+"&channel=second")
		w.send(t, frame(fin|text, "to nowhere"))
		w.ends(t, 1008)
	})
	run("the gateway first, messages of the peer come before its answer", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t)+"&channel=second")
		w.send(t, strings.Repeat(frame(fin|text, "to nowhere"), 100)+closing(1000, ""))
		w.ends(t, 1008)
	})
	run("the peer ends its side of TCP with its close", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t))
		w.send(t, closing(1001, ""))
		w.endWriting(t)
		w.ends(t, 1001)
	})
	run("the peer ends its side of TCP without a word", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t))
		w.endWriting(t)
		w.silent(t)
	})
	run("the peer ends its side of TCP inside a frame", func(t *testing.T) {
		w := open(t, s.plain, channelOf(t))
		w.send(t, frame(fin|text, "never whole")[:5])
		w.endWriting(t)
		w.silent(t)
	})
	run("the peer resets", func(t *testing.T) {
		path := channelOf(t)
		w := open(t, s.plain, path)
		w.resetOnClose(t)
		require.NoError(t, w.Close())
		next := open(t, s.plain, path)
		next.send(t, frame(fin|text, "alive"))
		next.expect(t, fin|text, "alive")
	})
}
