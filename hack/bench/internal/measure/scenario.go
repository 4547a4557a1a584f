// Package measure runs the scenarios of hack/bench: it starts a server, runs the load tool against it and computes the
// figures from the tool's result.
package measure

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

// Settings are the sizes of all scenarios.
type Settings struct {
	// Bin is the directory with the binaries, Baseline the one with the gateway of an earlier commit.
	Bin      string `json:"-"`
	Baseline string `json:"-"`
	// IdleClients is the number of clients that subscribe to one of IdleChannels each and stay connected for Hold.
	IdleClients, IdleChannels int
	Hold                      time.Duration
	// HandshakeClients is the number of clients that come in one way; a tenth of it where they have ManyChannels each.
	HandshakeClients, ManyChannels int
	// Subscribers is the number of clients that receive what one publisher publishes for Duration, after Warmup.
	Subscribers      int
	Duration, Warmup time.Duration
	// DeliveriesPerSecond is the offered load of the latency measurement.
	DeliveriesPerSecond int
	MessageBytes        int
	// Publications is the number of publications that Redis receives as fast as possible. RelayedPerSecond is the rate of
	// the latency measurement through Redis.
	Publications, RelayedPerSecond int
	// StallSubscribers is the number of clients that receive broadcasts while a probe measures delays.
	StallSubscribers int
	// Recovering is the number of clients that recover missed messages repeatedly. StormClients is the number of clients
	// that reconnect together, to StormChannels with one publication per second each.
	Recovering, StormClients, StormChannels int
	// StormSubscriptions is the number of channels that each client of the storm with many channels has.
	StormSubscriptions int
	PingInterval       time.Duration
	PongTimeout        time.Duration
	// MaxConnections is the limit of a gateway. With its reserved files it fits into 20,000 file descriptors.
	MaxConnections int
	// StormConnections is the limit of a gateway in a storm. It leaves more descriptors to handshakes.
	StormConnections int
}

// Full returns the sizes of a real measurement.
func Full() Settings {
	return Settings{
		IdleClients: 19_000, IdleChannels: 1_900, Hold: time.Minute,
		HandshakeClients: 12_000, ManyChannels: 100,
		Subscribers: 5_000, Duration: 10 * time.Second, Warmup: 3 * time.Second,
		DeliveriesPerSecond: 50_000, MessageBytes: 100,
		StallSubscribers: 19_000, Publications: 1_000_000, RelayedPerSecond: 5_000,
		PingInterval: 25 * time.Second, PongTimeout: 8 * time.Second,
		MaxConnections: 19_500, StormConnections: 16_000,
		Recovering: 64, StormClients: 15_000, StormChannels: 500, StormSubscriptions: 20,
	}
}

// Quick returns small sizes that show within minutes whether everything runs. Their figures are no results.
func Quick() Settings {
	s := Full()
	s.IdleClients, s.IdleChannels, s.Hold, s.HandshakeClients = 2_000, 200, 6*time.Second, 2_000
	s.ManyChannels = 20
	s.Subscribers, s.Duration, s.Warmup, s.DeliveriesPerSecond = 500, 2*time.Second, time.Second, 5_000
	s.StallSubscribers, s.Publications, s.RelayedPerSecond = 2_000, 100_000, 1_000
	s.Recovering, s.StormClients, s.StormChannels = 16, 1_500, 50
	s.PingInterval, s.PongTimeout = 5*time.Second, 2*time.Second
	return s
}

// Values are the figures of one run by their keys.
type Values map[string]float64

// Scenario is one way to use a server. It gives one or more figures.
type Scenario struct {
	Name    string
	About   string
	Figures []report.Figure
	// Targets are the targets that the scenario makes sense for; nil for all.
	Targets []string
	// Run measures a target once.
	Run func(ctx context.Context, s Settings, target string) (Values, error)
}

// For reports whether a scenario makes sense for a target. A baseline takes part where the target that it is compared
// with does.
func (s Scenario) For(target string) bool {
	if current, isBaseline := server.ComparedWith(target); isBaseline {
		target = current
	}
	return len(s.Targets) == 0 || slices.Contains(s.Targets, target)
}

func (s Settings) server() server.Options {
	return server.Options{
		Bin:            s.Bin,
		Baseline:       s.Baseline,
		PingInterval:   s.PingInterval,
		PongTimeout:    s.PongTimeout,
		MaxConnections: s.MaxConnections,
	}
}

// on starts a new server for each run, so that memory and connections of another run do not affect its figures.
func on(run func(ctx context.Context, s Settings, to *server.Server) (Values, error),
	change ...func(Settings, *server.Options)) func(context.Context, Settings, string) (Values, error) {
	return func(ctx context.Context, s Settings, target string) (Values, error) {
		o := s.server()
		for _, f := range change {
			f(s, &o)
		}
		to, err := server.Start(ctx, target, o)
		if err != nil {
			return nil, fmt.Errorf("start %s: %w", target, err)
		}
		defer to.Stop()
		return run(ctx, s, to)
	}
}

// Scenarios returns all scenarios in the order of the table.
func Scenarios() []Scenario {
	return []Scenario{
		{
			Name: "idle", About: "many clients come, subscribe and stay",
			Figures: []report.Figure{
				{
					Key:  "idle-memory",
					Name: "resident memory per idle, subscribed connection",
					Unit: report.Bytes,
					Goal: report.Goal{Kind: report.AtMost, Value: 1200},
				},
				{
					Key:  "handshake-cpu",
					Name: "CPU per handshake, connect and subscribe included",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.RatioTo, Value: handshakeRatio},
				},
				{
					Key:  "idle-cpu",
					Name: "CPU per idle connection and second",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.RatioTo, Value: 1.2},
				},
				{
					Key:  "empty-memory",
					Name: "process without a connection",
					Unit: report.Bytes,
					Goal: report.Goal{Kind: report.AtMost, Value: 25e6},
				},
			},
			Run: on(idle),
		},
		{
			Name: "handshake", About: "clients come in the ways in which SDKs do: frames apart, and many channels",
			Figures: handshakeFigures(), Run: on(handshakes),
		},
		{
			Name: "kept-idle", About: "the same in channels with history, recovery and presence",
			Figures: []report.Figure{
				{
					Key:  "kept-memory",
					Name: "resident memory per idle connection, presence and recovery on",
					Unit: report.Bytes,
					Goal: report.Goal{Kind: report.AtMost, Value: 2500},
				},
				{Key: "kept-handshake-cpu", Name: "CPU per handshake, presence and recovery on", Unit: report.Seconds},
				{Key: "kept-idle-cpu", Name: "CPU per idle connection and second, presence and recovery on", Unit: report.Seconds},
			},
			Targets: []string{server.Memory, server.Redis}, Run: on(idleWithRules, withRules(presence)),
		},
		{
			Name: "fanout-1", About: "one publication in flight",
			Figures: []report.Figure{
				{
					Key:  "delivery-cpu-1",
					Name: "CPU per delivery, 1 publication in flight",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.RatioTo, Value: 1.25},
				},
				{
					Key:  "deliveries-1",
					Name: "deliveries per second, 1 in flight",
					Unit: report.PerSecond,
					Goal: report.Goal{Kind: report.RatioOf, Value: 0.9},
				},
			},
			Run: on(fanout(1)),
		},
		{
			Name: "fanout-16", About: "16 publications in flight",
			Figures: []report.Figure{
				{
					Key:  "delivery-cpu-16",
					Name: "CPU per delivery, 16 in flight",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.RatioTo, Value: 0.3},
				},
				{
					Key:  "deliveries-16",
					Name: "deliveries per second, 16 in flight",
					Unit: report.PerSecond,
					Goal: report.Goal{Kind: report.RatioOf, Value: 3},
				},
			},
			Run: on(fanout(16)),
		},
		{
			Name: "rate", About: "a steady rate of publications",
			Figures: []report.Figure{
				{
					Key:  "latency-p99",
					Name: "latency p99 at 50,000 deliveries per second offered",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.RatioTo, Value: 1.1},
				},
			},
			Run: on(rate),
		},
		{
			Name: "stall", About: "how long a broadcast to many holds up others",
			Figures: []report.Figure{
				{Key: "stall-connect", Name: "longest stall during a broadcast: a new client", Unit: report.Seconds},
				{
					Key:  "stall-message",
					Name: "longest stall during a broadcast: a message of another channel",
					Unit: report.Seconds,
				},
			},
			Run: on(stall),
		},
		{
			Name: "recover", About: "clients subscribe and get the 10 messages that they have missed",
			Figures: []report.Figure{
				{
					Key:  "recover-10",
					Name: "subscribe with recovery of 10 messages, per core used",
					Unit: report.PerCore,
					Goal: report.Goal{Kind: report.Minimum, Value: 20e3, Target: server.Memory},
				},
			},
			Run: on(recovering, withRules(recovery)),
		},
		{
			Name: "storm", About: "all clients are cut, and come back for what they miss",
			Figures: []report.Figure{
				{
					Key:  "storm-seconds",
					Name: "reconnect storm of 15,000 recovering clients: until all are served",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.AtMost, Value: 10},
				},
				{Key: "storm-cpu", Name: "reconnect storm of 15,000 recovering clients: CPU per client", Unit: report.Seconds},
			},
			Targets: []string{server.Memory, server.Redis}, Run: on(storm, withRules(presence), withHandshakeRoom),
		},
		{
			Name: "storm-many", About: "the same with 20 channels a client, which subscribes once it is connected",
			Figures: []report.Figure{
				{Key: "storm-many-seconds", Name: "reconnect storm of clients with 20 channels: until all are served",
					Unit: report.Seconds},
				{Key: "storm-many-cpu", Name: "reconnect storm of clients with 20 channels: CPU per client",
					Unit: report.Seconds},
				{
					Key:  "storm-many-attempts",
					Name: "reconnect storm of clients with 20 channels: attempts per client",
					Unit: report.Count,
					Goal: report.Goal{Kind: report.AtMost, Value: 1},
				},
			},
			Targets: []string{server.Memory, server.Redis}, Run: on(stormOfMany, withRules(presence), withHandshakeRoom),
		},
		{
			Name: "refused", About: "all clients are cut, and come back every second without jitter, against a connect rate",
			Figures: []report.Figure{
				{
					Key:  "refused-attempts",
					Name: "storm of 15,000 clients that try every second: attempts per second from the fifth second on",
					Unit: report.PerSecond,
				},
				{
					Key:  "refused-accepted",
					Name: "the same: accepted per second until all are in, at a connect rate of 500",
					Unit: report.PerSecond,
					Goal: report.Goal{Kind: report.Minimum, Value: 450},
				},
			},
			Targets: []string{server.Memory}, Run: on(refused, withConnectRate),
		},
		{
			Name: "redis-publish", About: "publishing to Redis: redis-benchmark -P 16 is the floor",
			Figures: []report.Figure{
				{
					Key:  "redis-publish",
					Name: "publications per second through the broker, per core used",
					Unit: report.PerCore,
					Goal: report.Goal{Kind: report.RatioOf, Value: 0.6},
				},
			},
			Targets: []string{server.Floor, server.Redis}, Run: redisPublish,
		},
		{
			Name: "redis-latency", About: "from gateway to gateway: bare Redis Pub/Sub is the floor",
			Figures: []report.Figure{
				{
					Key:  "redis-latency-p99",
					Name: "latency p99 from gateway to gateway",
					Unit: report.Seconds,
					Goal: report.Goal{Kind: report.FloorPlus, Value: 2e-3},
				},
			},
			Targets: []string{server.Floor, server.Redis}, Run: redisLatency,
		},
	}
}

func idle(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	r, err := load(ctx, s.Bin, to, "idle",
		"--clients", strconv.Itoa(s.IdleClients), "--channels", strconv.Itoa(s.IdleChannels), "--hold", s.Hold.String())
	if err != nil {
		return nil, err
	}
	return idleValues(r)
}

// idleValues reads the memory at the end of the hold, when a server has released the memory of the handshakes.
func idleValues(r *result) (Values, error) {
	connect, err := r.phase("connect")
	if err != nil {
		return nil, err
	}
	hold, err := r.phase("hold")
	if err != nil {
		return nil, err
	}
	n := float64(r.Connect.Connected)
	return Values{
		"empty-memory":  connect.Server.RSSStartBytes,
		"handshake-cpu": connect.Server.CPUSeconds / n,
		"idle-memory":   (hold.Server.RSSEndBytes - connect.Server.RSSStartBytes) / n,
		"idle-cpu":      hold.Server.CPUSeconds / hold.Seconds / n,
	}, nil
}

func fanout(window int) func(context.Context, Settings, *server.Server) (Values, error) {
	return func(ctx context.Context, s Settings, to *server.Server) (Values, error) {
		r, err := load(ctx, s.Bin, to, "fanout", append(s.fanout(s.Subscribers), "--window", strconv.Itoa(window))...)
		if err != nil {
			return nil, err
		}
		return fanoutValues(r, window)
	}
}

// fanout returns the load tool's flags for a broadcast.
func (s Settings) fanout(subscribers int) []string {
	return []string{
		"--clients", strconv.Itoa(subscribers), "--channels", "1", "--message-bytes", strconv.Itoa(s.MessageBytes),
		"--duration", s.Duration.String(), "--warmup", s.Warmup.String(),
	}
}

func fanoutValues(r *result, window int) (Values, error) {
	run, err := r.phase("run")
	if err != nil {
		return nil, err
	}
	deliveries := r.Delivery.PerSecond * run.Seconds
	if deliveries == 0 {
		return nil, fmt.Errorf("nothing was delivered")
	}
	return Values{
		fmt.Sprintf("delivery-cpu-%d", window): run.Server.CPUSeconds / deliveries,
		fmt.Sprintf("deliveries-%d", window):   r.Delivery.PerSecond,
	}, nil
}

func rate(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	perSecond := float64(s.DeliveriesPerSecond) / float64(s.Subscribers)
	r, err := load(ctx, s.Bin, to, "fanout",
		append(s.fanout(s.Subscribers), "--rate", strconv.FormatFloat(perSecond, 'f', -1, 64))...)
	if err != nil {
		return nil, err
	}
	return Values{"latency-p99": r.Delivery.Latency.P99}, nil
}
