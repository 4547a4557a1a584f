package interop

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// masked returns a frame of a client with the mask 1 2 3 4.
func masked(first byte, payload string) []byte {
	frame := []byte{first, 0x80 | byte(len(payload)), 1, 2, 3, 4}
	for i := range len(payload) {
		frame = append(frame, payload[i]^frame[2+i%4])
	}
	return frame
}

func TestFramesReadsFramesHoweverTheyAreCut(t *testing.T) {
	stream := bytes.Join([][]byte{masked(0x01, "frag"), masked(0x8a, ""), masked(0x80, "ment")}, nil)
	long := append([]byte{0x82, 0x80 | 126, 1, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("x"), 256)...)
	huge := append([]byte{0x82, 0x80 | 127, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, make([]byte, 65536)...)
	stream = append(append(stream, long...), huge...)
	for _, size := range []int{1, 3, len(stream)} {
		var seen []string
		f := &frames{saw: func(final bool, opcode byte, payload []byte) {
			seen = append(seen, strings.TrimLeft(string(payload), "\x00x"))
			require.Equal(t, opcode != 1, final)
		}}
		for rest := stream; len(rest) > 0; rest = rest[min(size, len(rest)):] {
			_, err := f.Write(rest[:min(size, len(rest))])
			require.NoError(t, err)
		}
		require.Equal(t, []string{"frag", "", "ment", "", ""}, seen, "in pieces of %d", size)
		require.Empty(t, f.buf)
	}
}

func TestFramesPassesControlFramesOnly(t *testing.T) {
	var control bytes.Buffer
	f := &frames{saw: func(bool, byte, []byte) {}, control: &control}
	_, err := f.Write(bytes.Join([][]byte{masked(0x81, "text"), masked(0x8a, "pong"), masked(0x82, "")}, nil))
	require.NoError(t, err)
	require.Equal(t, masked(0x8a, "pong"), control.Bytes())
}

func TestTapRewriteRequest(t *testing.T) {
	const own = "GET /socket?x=1 HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range []struct {
		rewrite     bool
		token, want string
	}{
		{false, "", own},
		{false, "T", "GET /socket?x=1&token=T HTTP/1.1\r\nHost: h\r\n\r\n"},
		{true, "", "GET /ws?channel=c HTTP/1.1\r\nHost: h\r\n\r\n"},
		{true, "T", "GET /ws?channel=c&token=T HTTP/1.1\r\nHost: h\r\n\r\n"},
	} {
		p := &tap{stack: &stack{rewrite: c.rewrite}, channel: "c", token: c.token}
		require.Equal(t, c.want, string(p.rewriteRequest([]byte(own))))
		require.Empty(t, p.token, "a token is for one request")
	}
}

func TestTapRewriteResponse(t *testing.T) {
	const switching, refused = "HTTP/1.1 101 S\r\nA: b\r\n\r\n", "HTTP/1.1 503 No\r\nA: b\r\n\r\n"
	p := &tap{stack: &stack{}}
	require.Equal(t, switching, string(p.rewriteResponse([]byte(switching))))
	p.stack.subprotocol = "mqtt"
	require.Equal(t, "HTTP/1.1 101 S\r\nSec-WebSocket-Protocol: mqtt\r\nA: b\r\n\r\n",
		string(p.rewriteResponse([]byte(switching))))
	require.Equal(t, refused, string(p.rewriteResponse([]byte(refused))))
}

func TestTapResetIsSeenAsReset(t *testing.T) {
	server, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = server.Close() }()
	go func() {
		conn, err := server.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
	}()
	p := newTap(t, &stack{}, "c", server.Addr().String(), nil)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", p.listener.Addr().String())
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	_, err = io.WriteString(conn, "GET /ws HTTP/1.1\r\n\r\n")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	_, _, err = p.feed.await(ctx, 0, status(101))
	require.NoError(t, err)
	p.reset()
	_, err = io.ReadAll(conn)
	require.ErrorContains(t, err, "connection reset by peer")
	_, _, err = p.feed.await(ctx, 0, ofKind(kindGone))
	require.NoError(t, err)
}

func TestFeedAwait(t *testing.T) {
	f := newFeed()
	f.add(event{Kind: kindOpen})
	f.add(event{Kind: kindPong})
	e, next, err := f.await(t.Context(), 0, ofKind(kindPong, kindGone))
	require.NoError(t, err)
	require.Equal(t, kindPong, e.Kind)
	require.Equal(t, 2, next)

	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, _, err = f.await(ctx, next, ofKind(kindPong))
	require.ErrorIs(t, err, context.DeadlineExceeded)

	go f.add(event{Kind: kindGone})
	_, next, err = f.await(t.Context(), next, ofKind(kindGone))
	require.NoError(t, err)
	require.Equal(t, 3, next)
}

func TestClientSees(t *testing.T) {
	c := &client{feed: newFeed()}
	require.Equal(t, "nothing", c.sees(0))
	const refused = "error 127.0.0.1:4711 interop-3"
	for _, text := range []string{refused, "close  1006|x", "error 127.0.0.1:99 interop-3", "later"} {
		c.feed.add(event{Kind: kindSees, Text: text})
		c.feed.add(event{Kind: kindAttempt})
	}
	require.Equal(t, `error HOST CHANNEL, close 1006\|x`, c.sees(0))
	require.Equal(t, `close 1006\|x, error HOST CHANNEL, later`, c.sees(2))
	c.feed.add(event{Kind: kindOpen})
	c.feed.add(event{Kind: kindSees, Text: "of the next connection"})
	require.Equal(t, "later", c.sees(6))
}
