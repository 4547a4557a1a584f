package gateway

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

func TestConnectionLimitFollowsTheOpenFiles(t *testing.T) {
	for _, c := range []struct {
		configured int
		files      uint64
		want       int
	}{
		{10_000, 1 << 20, 10_000},
		{10_000, 10_200, 10_000},
		{10_000, 10_199, 9_999},
		{10_000, 1024, 824},
		{10_000, 100, 1},
		{10_000, 0, 1},
		{1, 0, 1},
		{10_000_000, math.MaxUint64, 10_000_000},
	} {
		require.Equal(t, c.want, connectionsWithin(c.configured, c.files), "%d of %d files", c.configured, c.files)
	}

	var log bytes.Buffer
	b := base{
		cfg: config.Config{MaxConnections: math.MaxInt32},
		log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	files, known := maxOpenFiles()
	require.True(t, known)
	require.Equal(t, connectionsWithin(math.MaxInt32, files), b.connectionLimit())
	require.Equal(t, files < math.MaxInt32, bytes.Contains(log.Bytes(), []byte("ulimit -n")))
}

// pipeListener is a listener whose connections are in memory, so that the test can fake the time.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipeListener) Close() error { close(p.closed); return nil }

func (p *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// A client that never finishes a request holds an HTTP connection for a short time only, however slowly it sends.
func TestHTTPServerCutsOffSlowRequests(t *testing.T) {
	const arriveWithin, keepAlive = 3 * time.Second, 75 * time.Second
	for name, c := range map[string]struct {
		begin, drip string
		within      time.Duration
	}{
		"says nothing":               {"", "", arriveWithin},
		"half a request line":        {"GET /ws?chan", "", arriveWithin},
		"one header after the other": {"GET /ws?channel=a HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", arriveWithin},
		"a byte of body at a time": {"POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", "{",
			arriveWithin},
		"says no more": {"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "", keepAlive},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := base{log: slog.New(slog.DiscardHandler)}
				mux := http.NewServeMux()
				mux.HandleFunc("/api/", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
				server := b.httpServer(mux, arriveWithin, keepAlive)
				listener := &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
				served := make(chan error, 1)
				go func() { served <- port{listener, server}.serve() }()

				start := time.Now()
				client, accepted := net.Pipe()
				listener.conns <- accepted
				dripped := make(chan struct{})
				go func() {
					defer close(dripped)
					_, err := io.WriteString(client, c.begin)
					for err == nil && c.drip != "" {
						time.Sleep(time.Second)
						_, err = io.WriteString(client, c.drip)
					}
				}()
				// The server may answer first. It must close the connection.
				_, err := io.Copy(io.Discard, client)
				require.True(t, err == nil || errors.Is(err, io.ErrClosedPipe), err)
				require.LessOrEqual(t, time.Since(start), c.within+time.Second)
				require.GreaterOrEqual(t, time.Since(start), c.within, "it has all of its time")
				require.NoError(t, client.Close())
				<-dripped
				require.NoError(t, server.Close())
				require.NoError(t, <-served)
			})
		})
	}
}
