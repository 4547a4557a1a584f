package load

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// Scenario names what the clients do.
type Scenario string

// The scenarios.
const (
	// Idle has clients that subscribe and then stay connected.
	Idle Scenario = "idle"
	// Fanout has one publisher per channel, besides the clients, which only subscribe.
	Fanout Scenario = "fanout"
	// Chat has clients that all publish to their channel.
	Chat Scenario = "chat"
	// Direct is a chat whose channels have two clients each.
	Direct Scenario = "direct"
	// Storm drops all connections and reconnects all clients at once.
	Storm Scenario = "storm"
	// Ramp is a fanout that adds clients in steps.
	Ramp Scenario = "ramp"
	// Live has clients that stay on a changing fleet, and come back when they lose their connections.
	Live Scenario = "live"
)

// Scenarios returns the name and a description of each scenario.
func Scenarios() [][2]string {
	return [][2]string{
		{string(Idle), "connect, subscribe, stay connected"},
		{string(Fanout), "one publisher per channel, every client subscribes"},
		{string(Chat), "every client publishes to its channel"},
		{string(Direct), "pairs of clients, one channel per pair, both publish"},
		{string(Storm), "drop all connections; clients reconnect at once, or spread over --jitter"},
		{string(Ramp), "fanout with clients added in steps, until --clients, an error, or --max-p99"},
		{string(Live), "clients stay on a changing fleet, come back by --reconnect, and recover what they missed"},
	}
}

// Protocol names the protocol of the clients.
type Protocol string

// The protocols.
const (
	Plain      Protocol = "plain"
	Centrifuge Protocol = "centrifuge"
)

// Loops of a result: how the publishers decide when to publish.
const (
	LoopOpen   = "open"
	LoopClosed = "closed"
	LoopNone   = "none"
)

// Options describe a run. The zero value of a field that Defaults does not set means "not given".
type Options struct {
	Scenario Scenario
	URL      string
	Protocol Protocol
	Clients  int
	Channels int
	// Subscriptions is the number of channels that each client of Idle and Storm subscribes to.
	Subscriptions int
	// ConnectFirst makes clients subscribe once the server has answered that they are connected, as SDKs do.
	ConnectFirst  bool
	ChannelPrefix string

	// Rate is the number of publications per second over all publishers, in an open loop. The latency of a message counts
	// from when it was due, whether or not it could be sent then.
	Rate float64
	// Window is the number of publications in flight over all publishers, in a closed loop. A publication is complete
	// when every subscriber has it.
	Window       int
	MessageBytes int
	Duration     time.Duration
	Warmup       time.Duration
	// Hold is how long Idle is measured.
	Hold time.Duration

	// ConnectRate is the number of connections per second; 0 for no limit.
	ConnectRate float64
	// ConnectConcurrency is the maximum number of handshakes under way at once; 0 for the scenario's default.
	ConnectConcurrency int
	// Sources are the addresses that clients connect from in turn. Without any, the system chooses.
	Sources []netip.Addr
	// Processes is the number of workers; 0 for as many as the file descriptors need.
	Processes int
	// Timeout bounds the time until a client is subscribed, and the wait for messages that do not arrive.
	Timeout            time.Duration
	InsecureSkipVerify bool
	Header             http.Header

	// Jitter is the time over which the reconnects of Storm are spread at random.
	Jitter time.Duration
	// RetryDelay is the time after which a client of Storm tries again that was refused; 0 is a random time that grows.
	RetryDelay time.Duration
	// Cycles is the number of times that Storm drops all connections.
	Cycles int
	// Recover makes the clients of Storm recover the publications that they missed. One further connection per channel
	// publishes meanwhile.
	Recover bool

	// stormConcurrency is the ConnectConcurrency of a storm's reconnects.
	stormConcurrency int

	// StepClients is the number of clients that a step of Ramp adds; 0 for a tenth.
	StepClients int
	// MaxP99 is the latency above which Ramp ends; 0 for no limit.
	MaxP99 time.Duration

	// Reconnect is the layer by which the clients of Live come back that belong to no group. Without a name it is the
	// default.
	Reconnect reconnect.Layer
	// Groups are further clients of Live.
	Groups []Group
	// Events is the file whose lines are labels of events, which Live marks when they appear; empty for none.
	Events string

	// ServerPID is the process whose CPU time and memory are observed, and MetricsURL the Prometheus endpoint that tells
	// them. At most one is set.
	ServerPID  int
	MetricsURL string
}

// Defaults returns the options of a command line without flags.
func Defaults() Options {
	return Options{
		Protocol: Centrifuge, Clients: 1000, Channels: 1, Subscriptions: 1, ChannelPrefix: "load-",
		MessageBytes: 100, Duration: 10 * time.Second, Warmup: 2 * time.Second, Hold: 10 * time.Second,
		Timeout: 10 * time.Second, Cycles: 1,
	}
}

// Error says that an option cannot be used.
type Error struct {
	// Flag is the name of the option on the command line, without dashes; empty for an argument.
	Flag string
	// Problem says what is wrong and how to mend it.
	Problem string
}

func (e *Error) Error() string {
	if e.Flag == "" {
		return e.Problem
	}
	return "--" + e.Flag + ": " + e.Problem
}

// Validate returns all problems of the options, joined; each is an *Error.
func (o *Options) Validate() error {
	var errs []error
	refuse := func(bad bool, flag, format string, args ...any) {
		if bad {
			errs = append(errs, &Error{Flag: flag, Problem: fmt.Sprintf(format, args...)})
		}
	}
	known := slices.ContainsFunc(Scenarios(), func(s [2]string) bool { return s[0] == string(o.Scenario) })
	refuse(!known, "", "unknown scenario %q: use %s", o.Scenario, scenarioNames())
	u, err := url.Parse(o.URL)
	refuse(err != nil || u != nil && (u.Scheme != "ws" && u.Scheme != "wss" || u.Host == ""), "",
		"URL %q cannot be used: give one like ws://127.0.0.1:8080 or wss://example.com", o.URL)
	refuse(o.Protocol != Plain && o.Protocol != Centrifuge, "protocol", "unknown protocol %q: use plain or centrifuge",
		o.Protocol)
	refuse(o.Clients < 1, "clients", "%d clients cannot do anything: give 1 or more", o.Clients)
	refuse(o.Scenario == Direct && o.Clients%2 != 0, "clients", "%d clients make no pairs: give an even number", o.Clients)
	refuse(o.Channels < 1, "channels", "%d channels cannot be used: give 1 or more", o.Channels)
	clients := o.Clients
	for _, g := range o.Groups {
		clients += max(0, g.Clients)
	}
	refuse(o.Clients > 0 && o.Channels > clients, "channels",
		"%d channels for %d clients leave some without a subscriber: give at most as many as clients", o.Channels, clients)
	refuse(o.Subscriptions < 1, "subscriptions", "%d subscriptions leave nothing to do: give 1 or more", o.Subscriptions)
	refuse(o.Channels > 0 && o.Subscriptions > o.Channels, "subscriptions",
		"%d subscriptions need as many channels: give at most as many as --channels", o.Subscriptions)
	refuse(o.Subscriptions > 1 && o.Scenario != Idle && o.Scenario != Storm, "subscriptions",
		"only idle and storm have clients of several channels: leave it out")
	refuse(o.Subscriptions > 1 && o.Protocol == Plain, "subscriptions",
		"the plain protocol subscribes in the handshake: use --protocol centrifuge")
	refuse(o.ConnectFirst && o.Protocol == Plain, "connect-first",
		"the plain protocol has no connect: use --protocol centrifuge")
	refuse(o.Rate < 0, "rate", "%v messages a second cannot be offered: give a rate above 0", o.Rate)
	refuse(o.Window < 0, "window", "a window of %d cannot be used: give 1 or more", o.Window)
	refuse(o.Rate > 0 && o.Window > 0, "window",
		"excludes --rate: give --rate for an open loop or --window for a closed one")
	refuse(!o.publishes() && o.Rate > 0, "rate", "%s publishes nothing: leave it out", o.scenarioText())
	refuse(!o.publishes() && o.Window > 0, "window", "%s publishes nothing: leave it out", o.scenarioText())
	refuse(o.Scenario == Storm && o.Recover && o.Window > 0, "window", "would wait for clients that are cut: give --rate")
	refuse(o.Recover && o.Scenario != Storm, "recover", "only storm needs it: leave it out")
	refuse(o.Recover && o.Protocol == Plain, "recover", "the plain protocol has no positions: use --protocol centrifuge")
	refuse(o.MessageBytes < minMessageBytes, "message-bytes",
		"%d bytes are too few: a message carries its number, its publisher and its time; give %d or more", o.MessageBytes,
		minMessageBytes)
	refuse(o.Duration < 0 || o.Duration == 0 && o.Scenario != Live, "duration",
		"%v cannot be measured: give a time above 0, like 10s", o.Duration)
	refuse(o.Hold <= 0, "hold", "%v cannot be measured: give a time above 0, like 10s", o.Hold)
	refuse(o.Warmup < 0, "warmup", "%v is no time: give 0 or more, like 2s", o.Warmup)
	refuse(o.Timeout <= 0, "timeout", "%v is no time to wait: give one above 0, like 10s", o.Timeout)
	refuse(o.ConnectRate < 0, "connect-rate",
		"%v connections a second cannot be made: give a rate above 0, or 0 for no limit", o.ConnectRate)
	refuse(o.ConnectConcurrency < 0, "connect-concurrency",
		"%d handshakes at once cannot be made: give 1 or more, or 0 for the default", o.ConnectConcurrency)
	refuse(o.Processes < 0, "processes",
		"%d processes cannot be started: give 1 or more, or 0 for as many as descriptors need", o.Processes)
	refuse(o.Jitter < 0, "jitter", "%v is no time: give 0 or more, like 10s", o.Jitter)
	refuse(o.Jitter > 0 && o.Scenario != Storm, "jitter", "only storm spreads by it: leave it out")
	refuse(o.RetryDelay < 0, "retry-delay", "%v is no time: give 0 or more, like 1s", o.RetryDelay)
	refuse(o.RetryDelay > 0 && o.Scenario != Storm, "retry-delay", "only storm waits for it: leave it out")
	refuse(o.Cycles < 1, "cycles", "%d cycles are no storm: give 1 or more", o.Cycles)
	refuse(o.StepClients < 0, "step-clients", "%d clients are no step: give 1 or more, or 0 for a tenth of --clients",
		o.StepClients)
	refuse(o.MaxP99 < 0, "max-p99", "%v is no latency: give one above 0, or 0 for no limit", o.MaxP99)
	refuse(o.MaxP99 > 0 && o.Scenario != Ramp, "max-p99", "only ramp ends at it: leave it out")
	o.validateLive(refuse)
	refuse(o.ServerPID < 0, "server-pid", "%d is no process: give the server's", o.ServerPID)
	refuse(o.ServerPID > 0 && o.MetricsURL != "", "metrics-url", "excludes --server-pid: the server is observed one way")
	return errors.Join(errs...)
}

func scenarioNames() string {
	all := Scenarios()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s[0]
	}
	return strings.Join(names, ", ")
}

// publishes reports whether the scenario publishes messages.
func (o *Options) publishes() bool {
	return o.Scenario != Idle && (o.Scenario != Storm || o.Recover)
}

// scenarioText names a scenario that publishes nothing, in an error.
func (o *Options) scenarioText() string {
	if o.Scenario == Storm {
		return "storm without --recover"
	}
	return string(o.Scenario)
}

// defaultRate is the rate of a scenario that publishes when neither a rate nor a window is given.
const defaultRate = 10

// defaultConcurrency is the default of ConnectConcurrency. The clients of a storm do not wait for each other.
const defaultConcurrency = 64

// stepsOfRamp is the default number of steps of a ramp.
const stepsOfRamp = 10

// applyDefaults fills in the defaults that depend on other options.
func (o *Options) applyDefaults() {
	if o.publishes() && o.Rate == 0 && o.Window == 0 {
		o.Rate = defaultRate
	}
	if o.Scenario == Direct {
		o.Channels = o.Clients / 2
	}
	if o.Scenario == Live {
		o.applyLiveDefaults()
	}
	o.stormConcurrency = o.ConnectConcurrency
	if o.ConnectConcurrency == 0 {
		o.ConnectConcurrency, o.stormConcurrency = defaultConcurrency, o.Clients
	}
	if o.StepClients == 0 {
		o.StepClients = max(1, o.Clients/stepsOfRamp)
	}
}

// loop returns how the publishers decide when to publish.
func (o *Options) loop() string {
	switch {
	case o.Rate > 0:
		return LoopOpen
	case o.Window > 0:
		return LoopClosed
	}
	return LoopNone
}
