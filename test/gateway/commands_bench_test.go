package gateway_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// BenchmarkSubscriptionsOfAFrame measures the time until a client has all its subscriptions, and prints its ratio to
// the time that one answer of the backend or one round trip to Redis takes.
func BenchmarkSubscriptionsOfAFrame(b *testing.B) {
	const channels = 128
	history := channel.History{Size: 10, TTL: channel.Duration(time.Minute)}
	for name, c := range map[string]struct {
		delay time.Duration
		rule  channel.Rule
		hook  bool
	}{
		"hook 300 ms":           {delay: 300 * time.Millisecond, hook: true},
		"Redis 50 ms":           {delay: 50 * time.Millisecond},
		"Redis 50 ms, presence": {delay: 50 * time.Millisecond, rule: channel.Rule{Presence: true}},
		"Redis 50 ms, history":  {delay: 50 * time.Millisecond, rule: channel.Rule{History: history, Recovery: true}},
		"Redis 50 ms, presence and history": {
			delay: 50 * time.Millisecond, rule: channel.Rule{History: history, Recovery: true, Presence: true},
		},
	} {
		b.Run(name, func(b *testing.B) {
			c.rule.Pattern = "*"
			cfg := func(cfg *config.Config) { cfg.Channels = channel.Rules{c.rule} }
			var g *testGateway
			if c.hook {
				backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					time.Sleep(c.delay)
					_, _ = w.Write([]byte(`{"result":{}}`))
				}))
				defer backend.Close()
				g = start(b, cfg, func(cfg *config.Config) { cfg.HookSubscribeURL = backend.URL })
			} else {
				proxy := delayingProxy(b, redistest.Standalone(b, "").Addr(), c.delay)
				g = start(b, cfg, func(cfg *config.Config) { cfg.Broker, cfg.RedisAddresses = "redis", []string{proxy} })
				g.awaitMetric(b, 1, "websocket_broker_state", "state", "ready")
			}
			for b.Loop() {
				s := g.connectAnonymous(b)
				cmds := subscribes(b.Name()+time.Now().String(), channels)
				s.write(cmds...)
				s.answers(cmds)
				_ = s.Close(websocket.StatusNormalClosure, "")
			}
			perClient := b.Elapsed() / time.Duration(b.N)
			b.ReportMetric(float64(perClient)/float64(c.delay), "delays")
		})
	}
}

// delayingProxy returns the address of a proxy that adds half of a round trip to each direction.
func delayingProxy(b *testing.B, to string, roundTrip time.Duration) string {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			go delay(in, out, roundTrip/2)
			go delay(out, in, roundTrip/2)
		}
	}()
	return l.Addr().String()
}

// delay copies what comes from one connection to another, later.
func delay(from, to net.Conn, by time.Duration) {
	type chunk struct {
		due  time.Time
		data []byte
	}
	chunks := make(chan chunk, 10_000)
	go func() {
		defer func() { _ = to.Close() }()
		for c := range chunks {
			time.Sleep(time.Until(c.due))
			if _, err := to.Write(c.data); err != nil {
				return
			}
		}
	}()
	defer close(chunks)
	for {
		data := make([]byte, 16<<10)
		n, err := from.Read(data)
		if n > 0 {
			chunks <- chunk{time.Now().Add(by), data[:n]}
		}
		if err != nil {
			return
		}
	}
}
