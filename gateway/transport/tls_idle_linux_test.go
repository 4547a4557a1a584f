package transport_test

import (
	"net"
	"net/http"
	"runtime"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/certtest"
)

func TestTLSConnectionsHoldNoGoroutinesWhileIdle(t *testing.T) {
	const connections = 50
	pair := certtest.New(t, "gateway")
	s := tlsServer{config: certtest.Client(t, pair)}
	wrap := func(s *transport.Server, l net.Listener) net.Listener { return s.TLSListener(l, pair.Server(t)) }
	server, url := serveBehind(t, wrap, func(*http.Request) (transport.Handler, error) { return newTestHandler(), nil },
		func(o *transport.Options) { o.MaxConnections = connections })
	s.Server, s.address = server, strings.TrimPrefix(url, "http://")
	before := runtime.NumGoroutine()
	for range connections {
		s.raw(t, s.tcp(t))
	}
	require.Equal(t, connections, server.Open())
	require.Eventually(t, func() bool { return runtime.NumGoroutine() < before+connections/2 }, waitTimeout,
		time.Millisecond)
	// Goroutines of earlier tests may end meanwhile, so check by name too.
	var stacks strings.Builder
	require.NoError(t, pprof.Lookup("goroutine").WriteTo(&stacks, 2))
	require.NotContains(t, stacks.String(), "blockingDriver")
}
