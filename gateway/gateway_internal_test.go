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

func TestLimitFollowsTheOpenFiles(t *testing.T) {
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
		require.Equal(t, c.want, holdable(c.configured, c.files), "%d of %d files", c.configured, c.files)
	}

	var log bytes.Buffer
	g := &Gateway{cfg: config.Config{MaxConnections: math.MaxInt32}, log: slog.New(slog.NewTextHandler(&log, nil))}
	files, known := openFiles()
	require.True(t, known)
	require.Equal(t, holdable(math.MaxInt32, files), g.connectionLimit())
	require.Equal(t, files < math.MaxInt32, bytes.Contains(log.Bytes(), []byte("ulimit -n")))
}

// pipes is a listener whose connections are in memory, so that time can be a bubble's.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.closed); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// Who never finishes a request costs a connection for a moment only, however slowly it trickles in.
func TestSlowRequestsAreCutOff(t *testing.T) {
	const arriveWithin = 3 * time.Second
	for name, c := range map[string]struct {
		begin, drip string
		within      time.Duration
	}{
		"says nothing":               {"", "", arriveWithin},
		"half a request line":        {"GET /ws?chan", "", arriveWithin},
		"one header after the other": {"GET /ws?channel=a HTTP/1.1\r\nHost: x\r\n", "X-A: b\r\n", arriveWithin},
		"a byte of body at a time":   {"POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", "{", arriveWithin},
		"says no more":               {"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", "", idleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &Gateway{log: slog.New(slog.DiscardHandler)}
				mux := http.NewServeMux()
				mux.HandleFunc("/api/", func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
				server := g.httpServer(mux, arriveWithin)
				listener := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				served := make(chan error, 1)
				go func() { served <- serve(server, listener) }()

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
				// Whether an answer comes first is up to the server; the end must come.
				_, err := io.Copy(io.Discard, client)
				require.True(t, err == nil || errors.Is(err, io.ErrClosedPipe), err)
				require.LessOrEqual(t, time.Since(start), c.within+time.Second)
				require.NoError(t, client.Close())
				<-dripped
				require.NoError(t, server.Close())
				require.NoError(t, <-served)
			})
		})
	}
}
