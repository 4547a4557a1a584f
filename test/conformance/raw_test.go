package conformance

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// rawSuite runs the cases of the raw peer over one kind of connection.
type rawSuite struct {
	*suite
	peer string
	// plain and zipped are the addresses of a gateway without and with compression.
	plain, zipped string
}

// all runs its cases.
func (s *rawSuite) all(t *testing.T) {
	neighbour, slow := s.neighbour(t, s.plain), s.slow(t)
	s.handshakes(t)
	neighbour(t)
	for _, c := range cases() {
		s.run(t, s.peer, c.section, c.name, func(t *testing.T) {
			for _, how := range ways {
				t.Run(how.name, func(t *testing.T) {
					s.exchange(t, open(t, s.plain, channelOf(t)), c, how)
					neighbour(t)
				})
			}
		})
	}
	s.closings(t)
	s.utf8(t)
	neighbour(t)
	s.compression(t)
	slow(t)
	neighbour(t)
}

// neighbour is another connection of the same gateway, which must keep working whatever happens on the others.
func (s *rawSuite) neighbour(t *testing.T, address string) func(t *testing.T) {
	t.Helper()
	w, n := open(t, address, channel("neighbour")), 0
	return func(t *testing.T) {
		t.Helper()
		n++
		require.NoError(t, w.SetDeadline(time.Now().Add(timeout)))
		message := "still here " + strconv.Itoa(n)
		w.send(t, frame(fin|text, message))
		w.expect(t, fin|text, message)
	}
}

// channel returns the path for a client of a channel.
func channel(name string) string {
	return contract.PathPlain + "?" + url.Values{"channel": {name}}.Encode()
}

// channelOf returns the path for a client of a channel that only this test uses.
func channelOf(t *testing.T) string {
	t.Helper()
	name := t.Name()
	return channel(name[max(0, len(name)-200):])
}

// rawCase is frames to send and the expected answer.
type rawCase struct {
	section, name string
	// sends goes out first. Then these must have come back, in order among themselves; the RFC says
	// nothing of the order between messages and pongs.
	sends  string
	echoes []received
	pongs  []string
	// then is sent after these have arrived.
	then string
	// code is how the gateway must close. Without one it must not: the peer closes, and is answered.
	code int
}

// way is a way to split bytes into writes.
type way struct {
	name  string
	piece func(length int) int
	// chatter goes out after the case when the gateway is to close: what comes after a violation must not
	// turn its close frame into a reset.
	chatter string
}

var ways = [...]way{
	{name: "at once", piece: func(n int) int { return max(1, n) }},
	{name: "byte by byte", piece: func(n int) int { return 1 + n/400 }},
	{
		name:    "chattering",
		piece:   func(n int) int { return max(1, n) },
		chatter: strings.Repeat(frame(fin|data, strings.Repeat("y", 3000)), 20),
	},
}

func (s *rawSuite) exchange(t *testing.T, w *wire, c rawCase, how way) {
	write := func(bytes string) {
		for piece := how.piece(len(bytes)); len(bytes) > 0; {
			n := min(piece, len(bytes))
			w.send(t, bytes[:n])
			bytes = bytes[n:]
		}
	}
	code := c.code
	if c.then == "" && code != 0 && len(c.echoes)+len(c.pongs) == 0 {
		write(c.sends + how.chatter)
	} else {
		write(c.sends)
		s.collect(t, w, c)
		if code != 0 {
			write(c.then + how.chatter)
		} else {
			code = 1000
			write(c.then + closing(code, ""))
		}
	}
	w.ends(t, code)
}

// collect reads the expected frames of a case.
func (s *rawSuite) collect(t *testing.T, w *wire, c rawCase) {
	t.Helper()
	var echoes []received
	var pongs []string
	for len(echoes) < len(c.echoes) || len(pongs) < len(c.pongs) {
		r, err := w.receive()
		require.NoError(t, err)
		switch r.first {
		case fin | pong:
			pongs = append(pongs, r.payload)
		default:
			echoes = append(echoes, r)
		}
	}
	require.Equal(t, c.pongs, pongs)
	require.Len(t, echoes, len(c.echoes))
	for i, want := range c.echoes {
		require.Equal(t, want.String(), echoes[i].String())
		require.True(t, want == echoes[i], "the same length and beginning, other bytes")
	}
}
