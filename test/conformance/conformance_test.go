// Package conformance tests the gateway against RFC 6455, section by section, with foreign peers: a raw TCP peer that
// sends what no library would, and the WebSocket implementations of other projects. Every case is an echo: a client of
// the plain protocol that is its channel's only subscriber receives what it sends.
package conformance

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

// limit is the maximum message size of the gateways here. It is above 65536, where frames have the longest header.
const limit = 70_000

// suite is the state that all cases share.
type suite struct {
	binary string
	// gateway serves the cases without special needs, pinging sends pings every two seconds, compressing supports
	// permessage-deflate.
	gateway, pinging, compressing *process.Gateway
	// allowed is the origin of a page that the gateways allow, foreign that of one that they refuse.
	allowed, foreign string
	tally            *tally
}

func TestConformance(t *testing.T) {
	s := &suite{binary: process.Build(t), tally: &tally{}, allowed: page(t), foreign: page(t)}
	s.gateway = s.start(t, "conformance")
	s.pinging = s.start(t, "pinging", "--"+contract.KeyPingInterval, "2s", "--"+contract.KeyPongTimeout, "1900ms")
	s.compressing = s.start(t, "compressing", "--"+contract.KeyCompression)
	peers := s.peers(t)
	raw := s.rawPeers(t)
	for _, p := range raw {
		s.tally.peers = append(s.tally.peers, p.peer)
	}
	for _, p := range peers {
		s.tally.peers = append(s.tally.peers, p.name)
	}
	t.Run("with", func(t *testing.T) {
		for _, p := range raw {
			t.Run(p.peer, func(t *testing.T) {
				t.Parallel()
				p.all(t)
			})
		}
		for _, p := range peers {
			t.Run(p.name, func(t *testing.T) {
				t.Parallel()
				s.withPeer(t, p)
			})
		}
	})
	t.Log(s.tally.String())
}

// peers returns all peers except the raw one.
func (s *suite) peers(t *testing.T) []peer {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: run hack/install-deps.sh browser")
	}
	return []peer{
		coderPeer(),
		nodePeer(t, "ws", fragmenting|pinging|closingFreely|choosingCompression, "ws.mjs"),
		nodePeer(t, "Chromium", 0, "chromium.mjs", "CHROMIUM="+chromium, "PAGE="+s.allowed),
	}
}

// rawPeers returns raw peers for TCP and for TLS, because the gateway reads and writes TLS connections differently.
func (s *suite) rawPeers(t *testing.T) []*rawSuite {
	t.Helper()
	secure := []string{"--" + contract.KeyTLSCertFile, filepath.Join(t.TempDir(), "tls.crt"),
		"--" + contract.KeyTLSKeyFile, filepath.Join(t.TempDir(), "tls.key")}
	writeCertificate(t, secure[1], secure[3])
	return []*rawSuite{
		{s, "raw TCP", s.gateway.Addr, s.compressing.Addr},
		{
			s, "raw TLS", tlsScheme + s.start(t, "tls", secure...).Addr,
			tlsScheme + s.start(t, "tls-compressing", append(secure, "--"+contract.KeyCompression)...).Addr,
		},
	}
}

// page serves an empty web page and returns its origin.
func page(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// start runs a gateway that does not ping within the time of a case unless flags say so, and that has no rate limits.
func (s *suite) start(t *testing.T, name string, flags ...string) *process.Gateway {
	t.Helper()
	return process.Start(t, s.binary, name, append([]string{
		"--" + contract.KeyMaxMessageBytes, strconv.Itoa(limit),
		"--" + contract.KeyPingInterval, "1h",
		"--" + contract.KeyConnectRate, "0",
		"--" + contract.KeyMessageRate, "0",
		"--" + contract.KeyAllowedOrigins, s.allowed,
		"--" + contract.KeyLogLevel, "debug",
	}, flags...)...)
}

// run runs one case as a subtest and counts its outcome.
func (s *suite) run(t *testing.T, peer, section, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(section+" "+name, func(t *testing.T) {
		t.Cleanup(func() { s.tally.add(peer, section, !t.Failed()) })
		test(t)
	})
}
