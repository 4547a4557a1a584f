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
)

// Scenario is what the clients do.
type Scenario string

// The scenarios.
const (
	// Idle clients subscribe and then hold.
	Idle Scenario = "idle"
	// Fanout has one publisher more than clients on each channel.
	Fanout Scenario = "fanout"
	// Chat has every client publish to the room it is in.
	Chat Scenario = "chat"
	// Direct is chat in rooms of two.
	Direct Scenario = "direct"
	// Storm drops all clients and lets them come back, all at once.
	Storm Scenario = "storm"
	// Ramp is a fanout whose clients come in steps.
	Ramp Scenario = "ramp"
)

// Scenarios are all there are, each with what it does.
func Scenarios() [][2]string {
	return [][2]string{
		{string(Idle), "connect, subscribe, hold"},
		{string(Fanout), "one publisher per channel, every client subscribes"},
		{string(Chat), "every client publishes to its room; a room is a channel"},
		{string(Direct), "pairs of clients, a channel each, both publish"},
		{string(Storm), "drop all connections and let them come back at once, or spread over --jitter"},
		{string(Ramp), "fanout with clients added in steps, until --clients, an error, or --max-p99"},
	}
}

// Protocol is what the clients speak.
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

// Options are a run. The zero value of a field without a default in Defaults is "not given".
type Options struct {
	Scenario      Scenario
	URL           string
	Protocol      Protocol
	Clients       int
	Channels      int
	ChannelPrefix string

	// Rate is how many publications a second are offered in all: an open loop. A message's latency
	// begins when it was due, whether or not it could be sent then.
	Rate float64
	// Window is how many publications are in flight in all: a closed loop. One is done when every
	// subscriber has it.
	Window       int
	MessageBytes int
	Duration     time.Duration
	Warmup       time.Duration
	// Hold is how long Idle is measured.
	Hold time.Duration

	// ConnectRate is in connections a second; 0 is without limit.
	ConnectRate float64
	// ConnectConcurrency is how many handshakes are under way at once; 0 lets the scenario decide.
	ConnectConcurrency int
	// Sources are the addresses that clients connect from, in turn; none leaves it to the system.
	Sources []netip.Addr
	// Processes is how many workers there are; 0 is as many as file descriptors need.
	Processes int
	// Timeout bounds a connection's way to its subscription, and the wait for what does not arrive.
	Timeout            time.Duration
	InsecureSkipVerify bool
	Header             http.Header

	// Jitter spreads the reconnects of Storm at random over this time.
	Jitter time.Duration
	Cycles int
	// Recover lets the clients of Storm come back for what they missed; meanwhile one further connection
	// per channel publishes.
	Recover bool

	// stormConcurrency is ConnectConcurrency when all come back.
	stormConcurrency int

	// StepClients is how many clients a step of Ramp adds; 0 is a tenth.
	StepClients int
	// MaxP99 ends Ramp; 0 does not.
	MaxP99 time.Duration

	// ServerPID and MetricsURL say where the server's CPU time and memory are read.
	ServerPID  int
	MetricsURL string
}

// Defaults are the options of a command line without flags.
func Defaults() Options {
	return Options{
		Protocol: Centrifuge, Clients: 1000, Channels: 1, ChannelPrefix: "load-",
		MessageBytes: 100, Duration: 10 * time.Second, Warmup: 2 * time.Second, Hold: 10 * time.Second,
		Timeout: 10 * time.Second, Cycles: 1,
	}
}

// Error is an option that cannot be used.
type Error struct {
	// Flag is its name on the command line, without dashes; empty for an argument.
	Flag    string
	Problem string
}

func (e *Error) Error() string {
	if e.Flag == "" {
		return e.Problem
	}
	return "--" + e.Flag + ": " + e.Problem
}

// Validate says what cannot be used; all of it, each an *Error.
func (o *Options) Validate() error {
	var errs []error
	wrong := func(bad bool, flag, format string, args ...any) {
		if bad {
			errs = append(errs, &Error{Flag: flag, Problem: fmt.Sprintf(format, args...)})
		}
	}
	known := slices.ContainsFunc(Scenarios(), func(s [2]string) bool { return s[0] == string(o.Scenario) })
	wrong(!known, "", "unknown scenario %q: use %s", o.Scenario, scenarioNames())
	u, err := url.Parse(o.URL)
	wrong(err != nil || u != nil && (u.Scheme != "ws" && u.Scheme != "wss" || u.Host == ""), "",
		"URL %q cannot be used: give one like ws://127.0.0.1:8080 or wss://example.com", o.URL)
	wrong(o.Protocol != Plain && o.Protocol != Centrifuge, "protocol", "unknown protocol %q: use plain or centrifuge",
		o.Protocol)
	wrong(o.Clients < 1, "clients", "%d clients cannot do anything: give 1 or more", o.Clients)
	wrong(o.Scenario == Direct && o.Clients%2 != 0, "clients", "%d clients make no pairs: give an even number", o.Clients)
	wrong(o.Channels < 1, "channels", "%d channels cannot be used: give 1 or more", o.Channels)
	wrong(o.Clients > 0 && o.Channels > o.Clients, "channels",
		"%d channels for %d clients leave some without a subscriber: give at most as many as --clients", o.Channels,
		o.Clients)
	wrong(o.Rate < 0, "rate", "%v messages a second cannot be offered: give a rate above 0", o.Rate)
	wrong(o.Window < 0, "window", "a window of %d cannot be used: give 1 or more", o.Window)
	wrong(o.Rate > 0 && o.Window > 0, "window",
		"excludes --rate: give --rate for an open loop or --window for a closed one")
	wrong(!o.publishes() && o.Rate > 0, "rate", "%s publishes nothing: leave it out", o.doing())
	wrong(!o.publishes() && o.Window > 0, "window", "%s publishes nothing: leave it out", o.doing())
	wrong(o.Scenario == Storm && o.Recover && o.Window > 0, "window", "would wait for clients that are cut: give --rate")
	wrong(o.Recover && o.Scenario != Storm, "recover", "only storm reconnects: leave it out")
	wrong(o.Recover && o.Protocol == Plain, "recover", "the plain protocol has no positions: use --protocol centrifuge")
	wrong(o.MessageBytes < minMessageBytes, "message-bytes",
		"%d bytes are too few: a message carries its number, its publisher and its time; give %d or more", o.MessageBytes,
		minMessageBytes)
	wrong(o.Duration <= 0, "duration", "%v cannot be measured: give a time above 0, like 10s", o.Duration)
	wrong(o.Hold <= 0, "hold", "%v cannot be measured: give a time above 0, like 10s", o.Hold)
	wrong(o.Warmup < 0, "warmup", "%v is no time: give 0 or more, like 2s", o.Warmup)
	wrong(o.Timeout <= 0, "timeout", "%v is no time to wait: give one above 0, like 10s", o.Timeout)
	wrong(o.ConnectRate < 0, "connect-rate",
		"%v connections a second cannot be made: give a rate above 0, or 0 for no limit", o.ConnectRate)
	wrong(o.ConnectConcurrency < 0, "connect-concurrency",
		"%d handshakes at once cannot be made: give 1 or more, or 0 for the default", o.ConnectConcurrency)
	wrong(o.Processes < 0, "processes",
		"%d processes cannot be started: give 1 or more, or 0 for as many as descriptors need", o.Processes)
	wrong(o.Jitter < 0, "jitter", "%v is no time: give 0 or more, like 10s", o.Jitter)
	wrong(o.Jitter > 0 && o.Scenario != Storm, "jitter", "only storm reconnects: leave it out")
	wrong(o.Cycles < 1, "cycles", "%d cycles are no storm: give 1 or more", o.Cycles)
	wrong(o.StepClients < 0, "step-clients", "%d clients are no step: give 1 or more, or 0 for a tenth of --clients",
		o.StepClients)
	wrong(o.MaxP99 < 0, "max-p99", "%v is no latency: give one above 0, or 0 for no limit", o.MaxP99)
	wrong(o.MaxP99 > 0 && o.Scenario != Ramp, "max-p99", "only ramp ends at it: leave it out")
	wrong(o.ServerPID < 0, "server-pid", "%d is no process: give the server's", o.ServerPID)
	wrong(o.ServerPID > 0 && o.MetricsURL != "", "metrics-url", "excludes --server-pid: the server is observed one way")
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

func (o *Options) publishes() bool {
	return o.Scenario != Idle && (o.Scenario != Storm || o.Recover)
}

// doing names the scenario where it publishes nothing.
func (o *Options) doing() string {
	if o.Scenario == Storm {
		return "storm without --recover"
	}
	return string(o.Scenario)
}

// Fallbacks of a scenario that publishes when neither a rate nor a window is given.
const defaultRate = 10

// Concurrent handshakes where the scenario decides. The clients of a storm do not wait for each other.
const defaultConcurrency = 64

// stepsOfRamp is how many steps a ramp has unless told otherwise.
const stepsOfRamp = 10

// settle fills in what depends on other options.
func (o *Options) settle() {
	if o.publishes() && o.Rate == 0 && o.Window == 0 {
		o.Rate = defaultRate
	}
	if o.Scenario == Direct {
		o.Channels = o.Clients / 2
	}
	o.stormConcurrency = o.ConnectConcurrency
	if o.ConnectConcurrency == 0 {
		o.ConnectConcurrency, o.stormConcurrency = defaultConcurrency, o.Clients
	}
	if o.StepClients == 0 {
		o.StepClients = max(1, o.Clients/stepsOfRamp)
	}
}

func (o *Options) loop() string {
	switch {
	case o.Rate > 0:
		return LoopOpen
	case o.Window > 0:
		return LoopClosed
	}
	return LoopNone
}
