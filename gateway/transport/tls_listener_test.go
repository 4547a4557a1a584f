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

// handshaken returns a client that has finished the TLS handshake and has sent nothing yet.
func (s tlsServer) handshaken(t *testing.T) *rawClient {
	t.Helper()
	c := tls.Client(s.tcp(t), s.config)
	require.NoError(t, c.Handshake())
	return newRawClient(t, c)
}

// requireDisconnected waits until the gateway has closed the connection, in any way.
func requireDisconnected(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.Copy(io.Discard, c)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "still connected")
}

// A client that opens many connections and sends nothing loses them, and keeps no other client out.
func TestTLSListenerEvictsTheOldest(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		seen := &limitCounter{}
		s := serve(echo, func(o *transport.Options) { o.MaxConnections, o.MaxHandshakes, o.Observer = 100, 3, seen })
		// Neither is pending: one is a WebSocket, and one was served and may send another request.
		connected := s.raw(t, s.tcp(t))
		kept := s.handshaken(t)
		kept.write(call)
		answer, err := http.ReadResponse(kept.in, nil)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, answer.Body)
		require.NoError(t, err)

		// One client for each way not to finish a request.
		silent := []*rawClient{newRawClient(t, s.tcp(t)), s.handshaken(t), s.handshaken(t)}
		silent[2].write(strings.TrimSuffix(upgrade, "\r\n"))
		for _, oldest := range silent {
			late := s.handshaken(t)
			requireDisconnected(t, oldest)
			late.write("GET / HTTP/1.1\r\n")
		}
		require.Equal(t, int64(len(silent)), seen.evicted.Load())

		connected.frame(0x81, "hi")
		got := make([]byte, 4)
		_, err = io.ReadFull(connected.in, got)
		require.NoError(t, err)
		require.Equal(t, "\x81\x02hi", string(got))
		kept.write(call)
		answer, err = http.ReadResponse(kept.in, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, answer.StatusCode)
	})
}

func TestTLSListenerAnswersPlainHTTP(t *testing.T) {
	onEveryTLSDriver(t, func(t *testing.T, serve func(func() *testHandler, ...func(*transport.Options)) tlsServer) {
		p := newRawClient(t, serve(echo).tcp(t))
		p.write(upgrade)
		status, body := p.readResponse()
		require.Equal(t, http.StatusBadRequest, status)
		require.Contains(t, body, "wss://")
	})
}

func TestTLSListenerCloseEndsPendingConnections(t *testing.T) {
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
	requireDisconnected(t, newRawClient(t, client))
}
