package measure

import (
	"context"
	"errors"
	"strconv"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

const (
	// connectRate is the default of gateways.
	connectRate = 500
	// settled is the second from which attempts are counted: the first ones are those of the cut.
	settled = 5
)

// withConnectRate lets a gateway refuse clients above its default rate. Its limit of connections leaves descriptors to
// those that wait for an answer.
func withConnectRate(s Settings, o *server.Options) {
	o.MaxConnections, o.ConnectRate = s.StormClients+1, connectRate
}

// refused cuts all clients. They try again every second, as libraries without jitter do, until the gateway has accepted
// them.
func refused(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	r, err := load(ctx, s.Bin, to, "storm", "--clients", strconv.Itoa(s.StormClients), "--channels",
		strconv.Itoa(s.StormChannels), "--connect-rate", strconv.Itoa(connectRate*9/10), "--retry-delay", "1s",
		"--timeout", "2m")
	if err != nil {
		return nil, err
	}
	return refusedValues(r)
}

// refusedValues returns the figures of a storm of clients that are refused. It returns an error when the storm is over
// before it has settled.
func refusedValues(r *result) (Values, error) {
	if len(r.Steps) != 1 || r.Steps[0].BackAfterSeconds <= settled+1 {
		return nil, errors.New("the storm is over before its attempts can be counted: give it more clients")
	}
	s := r.Steps[0]
	last := int(s.BackAfterSeconds)
	attempts := 0
	for _, second := range s.Timeline[settled:last] {
		attempts += second.Attempted
	}
	return Values{
		"refused-attempts": float64(attempts) / float64(last-settled),
		"refused-accepted": float64(s.Clients) / s.BackAfterSeconds,
	}, nil
}
