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
	r, err := s.storm(ctx, to, s.StormChannels)
	if err != nil {
		return nil, err
	}
	return stormValues(r)
}

// storm runs the load tool's storm with recovery.
func (s Settings) storm(ctx context.Context, to *server.Server, rate int, flags ...string) (*result, error) {
	return load(ctx, s.Bin, to, "storm", append([]string{
		"--recover", "--clients", strconv.Itoa(s.StormClients), "--channels", strconv.Itoa(s.StormChannels),
		"--rate", strconv.Itoa(rate), "--message-bytes", strconv.Itoa(s.MessageBytes), "--warmup", s.Warmup.String(),
		"--timeout", "1m",
	}, flags...)...)
}

// stormOfMany is a storm whose clients have many channels each, and subscribe to them as SDKs do. Each client gets as
// many messages as in storm.
func stormOfMany(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	r, err := s.storm(ctx, to, max(1, s.StormChannels/s.StormSubscriptions), "--subscriptions",
		strconv.Itoa(s.StormSubscriptions), "--connect-first")
	if err != nil {
		return nil, err
	}
	return stormOfManyValues(r)
}

// stormOfManyValues returns the figures of a storm of clients with many channels, as stormValues does.
func stormOfManyValues(r *result) (Values, error) {
	v, err := stormValues(r)
	if err != nil {
		return nil, err
	}
	attempts := 0
	for _, second := range r.Steps[0].Timeline {
		attempts += second.Attempted
	}
	return Values{
		"storm-many-seconds":  v["storm-seconds"],
		"storm-many-cpu":      v["storm-cpu"],
		"storm-many-attempts": float64(attempts) / float64(r.Steps[0].Clients),
	}, nil
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
