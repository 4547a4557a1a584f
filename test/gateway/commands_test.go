package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// maxAtOnce is the number of commands of one client that the gateway carries out side by side.
const maxAtOnce = 64

// slowBackend is a backend whose answers wait for the test.
type slowBackend struct {
	url string
	// asked gets each request as it arrives.
	asked chan map[string]any
	// release lets one request be answered for each value; closing it lets all be.
	release chan struct{}
	// left gets a value for each request that the gateway gave up.
	left chan struct{}
}

func newSlowBackend(t *testing.T) *slowBackend {
	t.Helper()
	b := &slowBackend{
		asked:   make(chan map[string]any, 1000),
		release: make(chan struct{}),
		left:    make(chan struct{}, 1000),
	}
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// ServeHTTP implements http.Handler.
func (b *slowBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request map[string]any
	if json.NewDecoder(r.Body).Decode(&request) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.asked <- request
	select {
	case <-b.release:
		_, _ = w.Write([]byte(`{"result":{}}`))
	case <-r.Context().Done():
		b.left <- struct{}{}
	}
}

// with makes a gateway ask the backend, with the longest timeout.
func (b *slowBackend) with(cfg *config.Config) {
	cfg.HookTimeout = 30 * time.Second
}

// openToAll lets every client publish, and keeps what is published in channels that begin with kept.
func openToAll(cfg *config.Config) {
	history := channel.History{Size: 10, TTL: channel.Duration(time.Minute)}
	cfg.Channels = channel.Rules{
		{Pattern: "kept:*", Publish: channel.PublishAnybody, History: history, Recovery: true},
		{Pattern: "*", Publish: channel.PublishAnybody},
	}
}

// next returns the next request.
func (b *slowBackend) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case r := <-b.asked:
		return r
	case <-time.After(waitTimeout):
		t.Fatal("the backend is not asked")
		return nil
	}
}

// subscribes returns one subscribe command for each of n channels.
func subscribes(prefix string, n int) (cmds []*cf.Command) {
	for i := range n {
		name := fmt.Sprintf("%s%d", prefix, i)
		cmds = append(cmds, &cf.Command{Id: uint32(i + 100), Subscribe: &cf.SubscribeRequest{Channel: name}})
	}
	return cmds
}

// answers reads replies until each command has its own, without an error.
func (s *sdk) answers(cmds []*cf.Command) {
	s.t.Helper()
	missing := map[uint32]bool{}
	for _, cmd := range cmds {
		missing[cmd.Id] = true
	}
	for len(missing) > 0 {
		reply := s.reply()
		require.Nil(s.t, reply.Error)
		require.True(s.t, missing[reply.Id], "one reply for each command")
		delete(missing, reply.Id)
	}
}

func TestSubscriptionsOfAFrameRunSideBySide(t *testing.T) {
	for name, c := range map[string]struct {
		encoding cf.Type
		channels int
	}{
		"one":                          {cf.TypeJSON, 1},
		"twenty":                       {cf.TypeJSON, 20},
		"twenty in Protobuf":           {cf.TypeProtobuf, 20},
		"as many as run at once":       {cf.TypeJSON, maxAtOnce},
		"as many as a client may have": {cf.TypeJSON, 128},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSlowBackend(t)
			g := start(t, b.with, func(cfg *config.Config) { cfg.HookSubscribeURL = b.url })
			s, _ := g.connectWith(t, c.encoding, &cf.ConnectRequest{})
			cmds := subscribes("room", c.channels)
			s.write(cmds...)
			for range min(c.channels, maxAtOnce) {
				b.next(t)
			}
			close(b.release)
			s.answers(cmds)
			require.Len(t, b.asked, max(0, c.channels-maxAtOnce), "one request for each subscription")
		})
	}
}

// While Redis does not answer, all subscriptions of a frame wait for it together.
func TestSubscriptionsOfAFrameWaitForRedisTogether(t *testing.T) {
	history := channel.History{Size: 10, TTL: channel.Duration(time.Minute)}
	for name, rule := range map[string]channel.Rule{
		"plain":    {},
		"presence": {Presence: true},
		"history":  {History: history, Recovery: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Standalone(t, "")
			rule.Pattern = "*"
			g := start(t, onRedis(server, ""), func(cfg *config.Config) { cfg.Channels = channel.Rules{rule} })
			g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
			s := g.connectAnonymous(t)
			cmds := subscribes("room", 100)
			server.Pause()
			s.write(cmds...)
			g.awaitMetric(t, maxAtOnce, "websocket_channels")
			server.Resume()
			s.answers(cmds)
		})
	}
}

func TestSlowCallDelaysNoOtherCommand(t *testing.T) {
	const calls = 8
	ping := &cf.Command{Id: 2, Ping: &cf.PingRequest{}}
	call := func(id uint32) *cf.Command { return &cf.Command{Id: id, Rpc: &cf.RPCRequest{Method: "slow"}} }
	for name, send := range map[string]func(s *sdk){
		"in one frame": func(s *sdk) {
			cmds := []*cf.Command{}
			for i := range uint32(calls) {
				cmds = append(cmds, call(10+i))
			}
			s.write(append(cmds, ping)...)
		},
		"in frames of their own": func(s *sdk) {
			for i := range uint32(calls) {
				s.write(call(10 + i))
			}
			s.write(ping)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSlowBackend(t)
			g := start(t, b.with, func(cfg *config.Config) { cfg.HookRPCURL = b.url })
			s := g.connectAnonymous(t)
			send(s)
			require.NotNil(t, s.reply().Ping)
			for range calls {
				b.next(t)
			}
			close(b.release)
			for range calls {
				require.NotNil(t, s.reply().Rpc)
			}
		})
	}
}

// Messages without an answer reach the backend one after the other.
func TestSentMessagesKeepTheirOrder(t *testing.T) {
	b := newSlowBackend(t)
	g := start(t, b.with, func(cfg *config.Config) { cfg.HookRPCURL = b.url })
	s := g.connectAnonymous(t)
	for i := range 3 {
		s.write(&cf.Command{Send: &cf.SendRequest{Data: fmt.Appendf(nil, "%d", i)}})
	}
	for i := range 3 {
		require.InDelta(t, i, b.next(t)["data"], 0)
		require.Empty(t, b.asked)
		b.release <- struct{}{}
	}
}

// A command waits for the earlier ones of its channel, and for no other channel's.
func TestCommandsOfAChannelKeepTheirOrder(t *testing.T) {
	b := newSlowBackend(t)
	g := start(t, b.with, openToAll, func(cfg *config.Config) { cfg.HookPublishURL = b.url })
	s := g.connectAnonymous(t)
	publish := func(id uint32, name string) *cf.Command {
		return &cf.Command{Id: id, Publish: &cf.PublishRequest{Channel: name, Data: fmt.Appendf(nil, "%d", id)}}
	}
	s.write(&cf.Command{Id: 1, Subscribe: &cf.SubscribeRequest{Channel: "a"}}, publish(2, "a"), publish(3, "a"),
		publish(4, "b"), &cf.Command{Id: 5, Unsubscribe: &cf.UnsubscribeRequest{Channel: "a"}},
		&cf.Command{Id: 6, Unsubscribe: &cf.UnsubscribeRequest{Channel: "c"}})
	require.NotNil(t, s.reply().Subscribe)
	require.NotNil(t, s.reply().Unsubscribe, "of channel c, for which nothing is to wait")
	asked := []any{b.next(t)["data"], b.next(t)["data"]}
	require.ElementsMatch(t, []any{2.0, 4.0}, asked)
	require.Empty(t, b.asked)
	close(b.release)
	order := map[string][]uint32{}
	for range 4 {
		r := s.reply()
		name := map[uint32]string{2: "a", 3: "a", 4: "b", 5: "a"}[r.Id]
		order[name] = append(order[name], r.Id)
	}
	require.Equal(t, map[string][]uint32{"a": {2, 3, 5}, "b": {4}}, order)
	require.Equal(t, "2", string(s.push().Pub.Data))
	require.Equal(t, "3", string(s.push().Pub.Data))
}

func TestClientThatLeavesEndsItsCommands(t *testing.T) {
	subscribe := &cf.Command{Id: 2, Subscribe: &cf.SubscribeRequest{Channel: "a"}}
	connect := &cf.Command{Id: 1, Connect: &cf.ConnectRequest{}}
	for name, leave := range map[string]func(s *sdk){
		"with a close frame": func(s *sdk) {
			go func() { _ = s.Close(websocket.StatusNormalClosure, "") }()
		},
		"without one": func(s *sdk) { require.NoError(s.t, s.CloseNow()) },
	} {
		t.Run("subscribe "+name, func(t *testing.T) {
			t.Parallel()
			b := newSlowBackend(t)
			g := start(t, b.with, func(cfg *config.Config) { cfg.HookSubscribeURL = b.url })
			s := g.connectAnonymous(t)
			s.write(subscribe)
			b.next(t)
			leave(s)
			<-b.left
			g.awaitMetric(t, 0, "websocket_connections")
			g.awaitMetric(t, 1, "websocket_hook_calls_total", "hook", "subscribe", "outcome", "canceled")
		})
		t.Run("connect "+name, func(t *testing.T) {
			t.Parallel()
			b := newSlowBackend(t)
			g := start(t, b.with, func(cfg *config.Config) { cfg.HookConnectURL = b.url })
			s := g.dialCentrifuge(t, cf.TypeJSON)
			s.write(connect)
			b.next(t)
			leave(s)
			<-b.left
			g.awaitMetric(t, 0, "websocket_connections")
		})
	}
}

// What a client published, called or sent before it left is carried out.
func TestClientThatLeavesHasPublished(t *testing.T) {
	for name, hook := range map[string]func(cfg *config.Config, url string){
		"publish": func(cfg *config.Config, url string) { cfg.HookPublishURL = url },
		"call":    func(cfg *config.Config, url string) { cfg.HookRPCURL = url },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newSlowBackend(t)
			g := start(t, b.with, openToAll, func(cfg *config.Config) { hook(cfg, b.url) })
			other := g.connectAnonymous(t)
			require.Nil(t, other.call(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "a"}}).Error)
			s := g.connectAnonymous(t)
			if name == "publish" {
				for i := range 3 {
					s.write(&cf.Command{Id: 2, Publish: &cf.PublishRequest{Channel: "a", Data: fmt.Appendf(nil, "%d", i)}})
				}
			} else {
				for range 3 {
					s.write(&cf.Command{Id: 2, Rpc: &cf.RPCRequest{Method: "m"}},
						&cf.Command{Send: &cf.SendRequest{Data: []byte("1")}})
				}
			}
			b.next(t)
			go func() { _ = s.Close(websocket.StatusNormalClosure, "") }()
			g.awaitMetric(t, 1, "websocket_connections")
			close(b.release)
			if name == "publish" {
				for i := range 3 {
					require.Equal(t, fmt.Sprint(i), string(other.push().Pub.Data))
				}
				return
			}
			g.awaitMetric(t, 6, "websocket_hook_calls_total", "hook", "rpc", "outcome", "ok")
		})
	}
}

// Row 3 of the cases: a client that comes back subscribes to all its channels in one frame.
func TestFrameMayHoldAllSubscriptionsOfAClient(t *testing.T) {
	const limit = 64 << 10
	g := start(t, func(cfg *config.Config) {
		cfg.MaxMessageBytes, cfg.Compression, cfg.Channels = limit, true, channel.Rules{{Pattern: "big:*"}}
	})
	subscribe := func(n, size int) (cmds []*cf.Command) {
		for _, cmd := range subscribes("big:", n) {
			cmd.Subscribe.Data = cf.Raw(`"` + strings.Repeat("x", size) + `"`)
			cmds = append(cmds, cmd)
		}
		return cmds
	}
	for name, frame := range map[string][]*cf.Command{
		"100 with 700 bytes":      subscribe(100, 700),
		"128 with almost 4 KiB":   subscribe(128, 4000),
		"one as large as allowed": subscribe(1, limit-200),
	} {
		for encoding, kind := range encodings() {
			t.Run(name+" in "+encoding, func(t *testing.T) {
				t.Parallel()
				s, _ := g.connectWith(t, kind, &cf.ConnectRequest{})
				s.SetReadLimit(1 << 20)
				s.write(frame...)
				s.answers(frame)
			})
		}
	}
	for name, frame := range map[string][]*cf.Command{
		"a command that is too large":                subscribe(1, limit),
		"a command that is too large behind another": append(subscribe(1, 1), subscribe(1, limit)...),
		"more than all subscriptions take":           subscribe(128, 4700),
	} {
		for encoding, kind := range encodings() {
			t.Run(name+" in "+encoding, func(t *testing.T) {
				t.Parallel()
				s, _ := g.connectWith(t, kind, &cf.ConnectRequest{})
				s.write(frame...)
				s.closed(1009, "larger than the gateway's limit")
			})
		}
	}
}

// The same for a client that compresses, whose frame is small on the wire.
func TestFrameThatIsCompressedMayHoldAllSubscriptions(t *testing.T) {
	g := start(t, func(cfg *config.Config) { cfg.MaxMessageBytes, cfg.Compression = 64<<10, true })
	c := g.dial(t, path, &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	c.SetReadLimit(1 << 20)
	s := &sdk{client: c, encoding: cf.TypeJSON}
	require.NotNil(t, s.call(&cf.Command{Connect: &cf.ConnectRequest{}}).Connect)
	cmds := subscribes("room", 100)
	for _, cmd := range cmds {
		cmd.Subscribe.Data = cf.Raw(`"` + strings.Repeat("x", 3000) + `"`)
	}
	s.write(cmds...)
	s.answers(cmds)
}

// Row 12 of the cases: the subscribe commands of a client that comes back are no flood, in whatever frames they come.
func TestSubscribeCommandsHaveAnAllowance(t *testing.T) {
	const channels = 128
	for name, perFrame := range map[string]int{"one a frame": 1, "three a frame": 3, "all in one frame": channels} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := start(t, func(cfg *config.Config) { cfg.MessageRate = burst })
			s := g.connectAnonymous(t)
			cmds := subscribes("room", channels)
			for i := 0; i < channels; i += perFrame {
				s.write(cmds[i:min(i+perFrame, channels)]...)
			}
			s.answers(cmds)

			for range 100 * burst {
				if s.Write(t.Context(), websocket.MessageText, []byte(`{"id":2,"subscribe":{"channel":"a"}}`)) != nil {
					break
				}
			}
			s.closed(4008, "message rate")
		})
	}
}

func TestSubscribeCommandAfterTheServerUnsubscribedIsFree(t *testing.T) {
	const channels = 10 * burst
	g := start(t, withKey, func(cfg *config.Config) { cfg.MessageRate, cfg.MaxChannelsPerConnection = burst, channels })
	s, connected := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{})
	cmds := subscribes("room", channels)
	for range 3 {
		s.write(cmds...)
		s.answers(cmds)
		for _, cmd := range cmds {
			body := fmt.Sprintf(`{"client":%q,"channel":%q}`, connected.Client, cmd.Subscribe.Channel)
			require.NotContains(t, g.api(t, "POST", "unsubscribe", body, "X-API-Key", key).body, "error")
			require.NotNil(t, s.push().Unsubscribe)
		}
	}
}

// Row 2 of the cases: while Redis is known to be away the answer comes at once, and not after the broker's timeout.
func TestCommandsAreAnsweredWhileRedisIsAway(t *testing.T) {
	for name, lose := range map[string]func(s *redistest.Server) (mend func()){
		"stopped": func(s *redistest.Server) func() { s.Stop(); return func() {} },
		"hung":    func(s *redistest.Server) func() { s.Pause(); return s.Resume },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Standalone(t, "")
			g := start(t, onRedis(server, ""), openToAll)
			g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
			s := g.connectAnonymous(t)
			defer lose(server)()
			g.awaitMetric(t, 1, "websocket_broker_state", "state", "degraded")
			began := time.Now()
			cmds := append(subscribes("room", 20), subscribes("kept:room", 20)...)
			for i, cmd := range cmds {
				cmd.Id = uint32(i + 100)
			}
			cmds = append(cmds, &cf.Command{Id: 99, Publish: &cf.PublishRequest{Channel: "kept:a", Data: []byte("1")}})
			s.write(cmds...)
			for range cmds {
				require.Equal(t, uint32(100), s.reply().Error.Code)
			}
			require.Less(t, time.Since(began), 2*time.Second, "less than any timeout of an operation")
		})
	}
}

// The memory of large messages that are incomplete is bounded over all clients.
func TestLargeMessagesShareABudget(t *testing.T) {
	const limit = 64 << 10
	for path, code := range map[string]int{"/ws?channel=a": 1013, "/connection/websocket": 3004} {
		t.Run(path, func(t *testing.T) {
			g := start(t, func(cfg *config.Config) {
				cfg.MaxMessageBytes, cfg.MaxQueuedBytes, cfg.MaxTotalQueuedBytes = limit, 1<<20, 1<<20
			})
			var clients []*rawClient
			head := strings.Repeat("x", limit-1000)
			whole := masked(0x82, head)
			for g.metric(t, "websocket_dropped_clients_total", "reason", "memory") == 0 {
				c := g.dialTCP(t, path)
				c.write(whole[:len(whole)-10])
				clients = append(clients, c)
				require.Less(t, len(clients), 40)
			}
			require.Greater(t, len(clients), 4, "half of the budget is for received messages")
			clients[len(clients)-1].expectClose(code)
			require.LessOrEqual(t, g.metric(t, "websocket_queued_bytes"), float64(1<<20))
			for _, c := range clients {
				require.NoError(t, c.Close())
			}
			g.awaitMetric(t, 0, "websocket_queued_bytes")
		})
	}
}

// Two clients whose commands wait: neither keeps the other from being served.
func TestCommandsOfOneClientDelayNoOtherClient(t *testing.T) {
	b := newSlowBackend(t)
	g := start(t, b.with, func(cfg *config.Config) { cfg.HookSubscribeURL = b.url })
	greedy, modest := g.connectAnonymous(t), g.connectAnonymous(t)
	greedy.write(subscribes("room", 128)...)
	for range maxAtOnce {
		b.next(t)
	}
	modest.write(subscribes("mine", 1)...)
	require.Equal(t, "mine0", b.next(t)["channel"])
	close(b.release)
	modest.answers(subscribes("mine", 1))
}
