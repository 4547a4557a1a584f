package transport_test

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
)

// shaken is a client that has shaken hands and said nothing yet.
func (s secured) shaken(t *testing.T) *peer {
	t.Helper()
	c := tls.Client(s.tcp(t), s.config)
	require.NoError(t, c.Handshake())
	return speaker(t, c)
}

// cut waits until the gateway has hung up, in whatever way.
func cut(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "still there")
}

// Who opens many connections and says nothing loses them, and keeps nobody out.
func TestWhoIsSilentMakesRoomBehindTLS(t *testing.T) {
	onEverySecureWire(t, func(t *testing.T, serve func(func() *handler, ...func(*transport.Options)) secured) {
		seen := &tally{}
		s := serve(echo, func(o *transport.Options) { o.MaxConnections, o.MaxHandshakes, o.Observer = 100, 3, seen })
		// Neither counts: one is connected, one was served and may ask again.
		connected := s.raw(t, s.tcp(t))
		kept := s.shaken(t)
		kept.say(call)
		answer, err := http.ReadResponse(kept.in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)

		// One for each way not to finish a request.
		silent := []*peer{speaker(t, s.tcp(t)), s.shaken(t), s.shaken(t)}
		silent[2].say(strings.TrimSuffix(upgrade, "\r\n"))
		for _, oldest := range silent {
			late := s.shaken(t)
			cut(t, oldest)
			late.say("GET / HTTP/1.1\r\n")
		}
		require.Equal(t, int64(len(silent)), seen.crowded.Load())

		connected.frame(0x81, "hi")
		got := make([]byte, 4)
		_, err = io.ReadFull(connected.in, got)
		require.NoError(t, err)
		require.Equal(t, "\x81\x02hi", string(got))
		kept.say(call)
		answer, err = http.ReadResponse(kept.in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode)
	})
}

func TestWhoForgetsTheSIsTold(t *testing.T) {
	onEverySecureWire(t, func(t *testing.T, serve func(func() *handler, ...func(*transport.Options)) secured) {
		p := speaker(t, serve(echo).tcp(t))
		p.say(upgrade)
		status, body := p.hear()
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, "wss://")
	})
}

func TestClosedTLSListenerLetsTheSilentGo(t *testing.T) {
	s := transport.NewServer(transport.Options{MaxHandshakes: 10})
	defer s.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := s.TLSListener(plain, &tls.Config{})
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	_, err = l.Accept()
	require.NoError(t, err)
	require.NoError(t, l.Close())
	cut(t, speaker(t, client))
}
