package measure

import (
	"context"
	"fmt"
	"strconv"

	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

// handshakeRatio is the goal of the CPU time of a handshake, as a multiple of the floor's.
const handshakeRatio = 1.4

// arrival is a way in which clients come.
type arrival struct {
	key, name string
	// underWay is the number of handshakes at once.
	underWay int
	// apart says that clients subscribe once connect is answered, and not in the same frame.
	apart bool
	// many says that each client has Settings.ManyChannels channels.
	many bool
}

// arrivals are the ways that are measured, one after the other, with one server.
func arrivals() []arrival {
	return []arrival{
		{key: "handshake-joined-64", name: "one frame, 64 under way", underWay: 64},
		{key: "handshake-apart-16", name: "two frames, 16 under way", underWay: 16, apart: true},
		{key: "handshake-apart-64", name: "two frames, 64 under way", underWay: 64, apart: true},
		{key: "handshake-apart-256", name: "two frames, 256 under way", underWay: 256, apart: true},
		{key: "handshake-many-joined", name: "100 channels in one frame", underWay: 64, many: true},
		{key: "handshake-many-apart", name: "100 channels in two frames", underWay: 64, apart: true, many: true},
	}
}

// handshakeFigures returns a figure for each arrival.
func handshakeFigures() (out []report.Figure) {
	for _, a := range arrivals() {
		f := report.Figure{Key: a.key, Name: "CPU per handshake, " + a.name, Unit: report.Seconds}
		if !a.many {
			f.Goal = report.Goal{Kind: report.RatioTo, Value: handshakeRatio}
		}
		out = append(out, f)
	}
	return out
}

// handshakes lets clients come in each way, after each other. The CPU time ends with the last subscription.
func handshakes(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	values := Values{}
	for _, a := range arrivals() {
		r, err := load(ctx, s.Bin, to, "idle", s.arrivalFlags(a)...)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", a.name, err)
		}
		connect, err := r.phase("connect")
		if err != nil {
			return nil, err
		}
		values[a.key] = connect.Server.CPUSeconds / float64(r.Connect.Connected)
	}
	return values, nil
}

// arrivalFlags returns the load tool's flags for an arrival.
func (s Settings) arrivalFlags(a arrival) []string {
	clients := s.HandshakeClients
	flags := []string{"--hold", "1s", "--connect-concurrency", strconv.Itoa(a.underWay)}
	if a.apart {
		flags = append(flags, "--connect-first")
	}
	if a.many {
		clients /= 10
		flags = append(flags, "--subscriptions", strconv.Itoa(s.ManyChannels))
	}
	return append(flags, "--clients", strconv.Itoa(clients), "--channels", strconv.Itoa(clients/10))
}
