package measure

import (
	"context"
	"fmt"
	"strconv"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

// The channel rules of the scenarios with history.
const (
	recovery = `[{"pattern":"*","history":{"size":1000,"ttl":"5m"},"recovery":true}]`
	presence = `[{"pattern":"*","history":{"size":1000,"ttl":"5m"},"recovery":true,"presence":true}]`
)

// withRules returns an option that sets a gateway's channel rules.
func withRules(rules string) func(Settings, *server.Options) {
	return func(_ Settings, o *server.Options) { o.Rules = rules }
}

// withHandshakeRoom leaves a gateway file descriptors for many handshakes at once.
func withHandshakeRoom(s Settings, o *server.Options) { o.MaxConnections = s.StormConnections }

// idleWithRules is idle with other names of its figures.
func idleWithRules(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	v, err := idle(ctx, s, to)
	if err != nil {
		return nil, err
	}
	return Values{
		"kept-memory":        v["idle-memory"],
		"kept-handshake-cpu": v["handshake-cpu"],
		"kept-idle-cpu":      v["idle-cpu"],
	}, nil
}

func storm(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	r, err := load(ctx, s.Bin, to, "storm", "--recover", "--clients", strconv.Itoa(s.StormClients), "--channels",
		strconv.Itoa(s.StormChannels), "--rate", strconv.Itoa(s.StormChannels), "--message-bytes",
		strconv.Itoa(s.MessageBytes), "--warmup", s.Warmup.String(), "--timeout", "1m")
	if err != nil {
		return nil, err
	}
	return stormValues(r)
}

// stormValues returns the figures of a storm. It returns an error when a client was not recovered or a message was
// lost.
func stormValues(r *result) (Values, error) {
	run, err := r.phase("storm 1")
	if err != nil {
		return nil, err
	}
	if len(r.Steps) != 1 {
		return nil, fmt.Errorf("wsfleet load tells of %d storms, not of one", len(r.Steps))
	}
	s, d := r.Steps[0], r.Delivery
	if s.Recovery.Recovered != s.Clients || s.Recovery.Publications == 0 || d.Lost+d.Duplicated+d.Reordered > 0 {
		return nil, fmt.Errorf("%d of %d clients recovered %d publications; %d lost, %d duplicated, %d reordered",
			s.Recovery.Recovered, s.Clients, s.Recovery.Publications, d.Lost, d.Duplicated, d.Reordered)
	}
	return Values{"storm-seconds": s.BackAfterSeconds, "storm-cpu": run.Server.CPUSeconds / float64(s.Clients)}, nil
}
