package load

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

func TestValidateNamesFlagAndRemedy(t *testing.T) {
	for want, change := range map[string]func(*Options){
		`unknown scenario "nap": use idle, fanout, chat, direct, storm, ramp, live`: func(o *Options) {
			o.Scenario = "nap"
		},
		`URL "http://x" cannot be used: give one like ws://127.0.0.1:8080 or wss://example.com`: func(o *Options) {
			o.URL = "http://x"
		},
		`URL "127.0.0.1:8080" cannot be used: give one like ws://127.0.0.1:8080 or wss://example.com`: func(o *Options) {
			o.URL = "127.0.0.1:8080"
		},
		`--protocol: unknown protocol "mqtt": use plain or centrifuge`: func(o *Options) {
			o.Protocol = "mqtt"
		},
		`--clients: 0 clients cannot do anything: give 1 or more`: func(o *Options) {
			o.Clients = 0
		},
		`--clients: 3 clients make no pairs: give an even number`: func(o *Options) {
			o.Scenario, o.Clients = Direct, 3
		},
		`--channels: 0 channels cannot be used: give 1 or more`: func(o *Options) {
			o.Channels = 0
		},
		`--channels: 9 channels for 6 clients leave some without a subscriber: give at most as many as clients`: func(
			o *Options) {
			o.Channels = 9
		},
		`--subscriptions: 0 subscriptions leave nothing to do: give 1 or more`: func(o *Options) {
			o.Subscriptions = 0
		},
		`--subscriptions: 3 subscriptions need as many channels: give at most as many as --channels`: func(o *Options) {
			o.Scenario, o.Channels, o.Subscriptions = Storm, 2, 3
		},
		`--subscriptions: only idle and storm have clients of several channels: leave it out`: func(o *Options) {
			o.Scenario, o.Channels, o.Subscriptions = Fanout, 2, 2
		},
		`--subscriptions: the plain protocol subscribes in the handshake: use --protocol centrifuge`: func(o *Options) {
			o.Scenario, o.Protocol, o.Channels, o.Subscriptions = Idle, Plain, 2, 2
		},
		`--connect-first: the plain protocol has no connect: use --protocol centrifuge`: func(o *Options) {
			o.Protocol, o.ConnectFirst = Plain, true
		},
		`--retry-delay: -1s is no time: give 0 or more, like 1s`: func(o *Options) {
			o.Scenario, o.RetryDelay = Storm, -time.Second
		},
		`--retry-delay: only storm waits for it: leave it out`: func(o *Options) {
			o.RetryDelay = time.Second
		},
		`--rate: -1 messages a second cannot be offered: give a rate above 0`: func(o *Options) {
			o.Rate = -1
		},
		`--rate: idle publishes nothing: leave it out`: func(o *Options) {
			o.Scenario, o.Rate = Idle, 1
		},
		`--window: storm without --recover publishes nothing: leave it out`: func(o *Options) {
			o.Scenario, o.Window = Storm, 1
		},
		`--window: would wait for clients that are cut: give --rate`: func(o *Options) {
			o.Scenario, o.Recover, o.Window = Storm, true, 1
		},
		`--recover: only storm needs it: leave it out`: func(o *Options) {
			o.Recover = true
		},
		`--recover: the plain protocol has no positions: use --protocol centrifuge`: func(o *Options) {
			o.Scenario, o.Recover, o.Protocol = Storm, true, Plain
		},
		`--window: a window of -1 cannot be used: give 1 or more`: func(o *Options) {
			o.Window = -1
		},
		`--window: excludes --rate: give --rate for an open loop or --window for a closed one`: func(o *Options) {
			o.Rate, o.Window = 1, 1
		},
		"--message-bytes: 10 bytes are too few: a message carries its number, its publisher and its time; " +
			"give 51 or more": func(o *Options) {
			o.MessageBytes = 10
		},
		`--duration: 0s cannot be measured: give a time above 0, like 10s`: func(o *Options) {
			o.Duration = 0
		},
		`--hold: 0s cannot be measured: give a time above 0, like 10s`: func(o *Options) {
			o.Hold = 0
		},
		`--warmup: -1s is no time: give 0 or more, like 2s`: func(o *Options) {
			o.Warmup = -time.Second
		},
		`--timeout: 0s is no time to wait: give one above 0, like 10s`: func(o *Options) {
			o.Timeout = 0
		},
		`--connect-rate: -1 connections a second cannot be made: give a rate above 0, or 0 for no limit`: func(o *Options) {
			o.ConnectRate = -1
		},
		`--connect-concurrency: -1 handshakes at once cannot be made: give 1 or more, or 0 for the default`: func(
			o *Options) {
			o.ConnectConcurrency = -1
		},
		`--processes: -1 processes cannot be started: give 1 or more, or 0 for as many as descriptors need`: func(
			o *Options) {
			o.Processes = -1
		},
		`--jitter: -1s is no time: give 0 or more, like 10s`: func(o *Options) {
			o.Jitter = -time.Second
		},
		`--jitter: only storm spreads by it: leave it out`: func(o *Options) {
			o.Jitter = time.Second
		},
		`--cycles: 0 cycles are no storm: give 1 or more`: func(o *Options) {
			o.Cycles = 0
		},
		`--step-clients: -1 clients are no step: give 1 or more, or 0 for a tenth of --clients`: func(o *Options) {
			o.StepClients = -1
		},
		`--max-p99: -1s is no latency: give one above 0, or 0 for no limit`: func(o *Options) { o.MaxP99 = -time.Second },
		`--max-p99: only ramp ends at it: leave it out`:                     func(o *Options) { o.MaxP99 = time.Second },
		`--reconnect: only the clients of live come back by a layer: leave it out`: func(o *Options) {
			o.Reconnect = soon
		},
		`--group: only live has groups: leave it out`: func(o *Options) {
			o.Groups = []Group{{Clients: 1, Layer: soon}}
		},
		`--events: only live marks events: leave it out`: func(o *Options) {
			o.Events = "events"
		},
		"--protocol: the clients of live recover, which the plain protocol cannot: " +
			"leave it out, and give plain clients as a group, like --group 100:stompjs:plain": func(o *Options) {
			o.Scenario, o.Protocol = Live, Plain
		},
		`--window: would wait for clients that are away: give --rate`: func(o *Options) {
			o.Scenario, o.Window = Live, 1
		},
		`--duration: -1s cannot be measured: give a time above 0, like 10s`: func(o *Options) {
			o.Scenario, o.Duration = Live, -time.Second
		},
		`--group: 0 clients are no group: give 1 or more, like 100:stompjs`: func(o *Options) {
			o.Scenario, o.Groups = Live, []Group{{Layer: soon}}
		},
		`--group: x: 0 waits: give 1 to 63`: func(o *Options) {
			o.Scenario, o.Groups = Live, []Group{{Clients: 1, Layer: reconnect.Layer{Name: "x", Growth: 1}}}
		},
		`--reconnect: x: 0 waits: give 1 to 63`: func(o *Options) {
			o.Scenario, o.Reconnect = Live, reconnect.Layer{Name: "x", Growth: 1}
		},
		`--server-pid: -1 is no process: give the server's`: func(o *Options) { o.ServerPID = -1 },
		`--metrics-url: excludes --server-pid: the server is observed one way`: func(o *Options) {
			o.ServerPID, o.MetricsURL = 1, "http://x"
		},
	} {
		o := options(Fanout, "ws://127.0.0.1:8080", change)
		require.EqualError(t, o.Validate(), want)
		var e *Error
		require.ErrorAs(t, o.Validate(), &e)
	}
}

func TestDefaultsAreValid(t *testing.T) {
	for _, s := range Scenarios() {
		o := Defaults()
		o.Scenario, o.URL = Scenario(s[0]), "wss://example.com"
		require.NoError(t, o.Validate(), s[0])
	}
}

func TestChannelsMayBeThoseOfGroups(t *testing.T) {
	o := options(Live, "ws://127.0.0.1:8080", func(o *Options) {
		o.Clients, o.Channels, o.Groups = 1, 10, []Group{{Clients: 9, Layer: reconnect.Known()[0]}}
	})
	require.NoError(t, o.Validate())
	o.Channels = 11
	require.ErrorContains(t, o.Validate(), "11 channels for 10 clients")
}

func TestParseSources(t *testing.T) {
	for text, want := range map[string][]string{
		"127.0.0.1":                       {"127.0.0.1"},
		"127.0.0.254-127.0.1.1":           {"127.0.0.254", "127.0.0.255", "127.0.1.0", "127.0.1.1"},
		"127.0.0.1-127.0.0.2, 10.0.0.1":   {"127.0.0.1", "127.0.0.2", "10.0.0.1"},
		"::1":                             {"::1"},
		"255.255.255.255-255.255.255.255": {"255.255.255.255"},
	} {
		all, err := ParseSources(text)
		require.NoError(t, err)
		var got []string
		for _, a := range all {
			got = append(got, a.String())
		}
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "x", "127.0.0.1-", "127.0.0.2-127.0.0.1", "127.0.0.1-::1", "10.0.0.0-10.255.0.0"} {
		_, err := ParseSources(text)
		var e *Error
		require.ErrorAs(t, err, &e, text)
		require.Equal(t, "sources", e.Flag)
	}
}

func TestDefaultSourcesAreSeveralOnLoopbackOnly(t *testing.T) {
	require.Len(t, defaultSources(t.Context(), "ws://127.0.0.1:8080"), 10)
	require.Empty(t, defaultSources(t.Context(), "ws://[::1]:8080"))
	require.Empty(t, defaultSources(t.Context(), "ws://192.0.2.1:8080"))
}
