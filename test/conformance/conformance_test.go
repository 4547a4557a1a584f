// Package conformance holds the gateway to RFC 6455, section by section, with peers that it did not
// choose: a raw TCP peer that sends what no library would, and the WebSockets of others. Every case is
// an echo: a client of the plain protocol that is its channel's only subscriber gets back what it
// sends.
package conformance

import (
	"testing"

	"github.com/wsfleet/wsfleet/gateway/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

// limit is the largest message of the gateways here: above 65536, where frames get their longest header.
const limit = 70_000

// suite is what all cases share.
type suite struct {
	binary string
	// gateway serves the cases that need nothing special.
	gateway *process.Gateway
	tally   *tally
}

func TestConformance(t *testing.T) {
	s := &suite{binary: process.Build(t), tally: &tally{}}
	s.gateway = s.start(t, "conformance")
	t.Run("raw", s.raw)
	t.Log(s.tally.String())
}

// start runs a gateway that does not ping within the time of a case.
func (s *suite) start(t *testing.T, name string, flags ...string) *process.Gateway {
	t.Helper()
	return process.Start(t, s.binary, name, append([]string{
		"--" + contract.KeyMaxMessageBytes, "70000",
		"--" + contract.KeyPingInterval, "1h",
		"--" + contract.KeyLogLevel, "debug",
	}, flags...)...)
}

// run makes one case a subtest and notes its verdict.
func (s *suite) run(t *testing.T, peer, section, name string, test func(t *testing.T)) {
	t.Helper()
	t.Run(section+" "+name, func(t *testing.T) {
		t.Cleanup(func() { s.tally.add(peer, section, !t.Failed()) })
		test(t)
	})
}
