package gateway_test

import (
	"fmt"
	"strings"
	"testing"

	cf "github.com/centrifugal/protocol"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
)

// twoOnRedis starts two gateways with a real Redis, and waits until both have reached it.
func twoOnRedis(t *testing.T, change ...func(*config.Config)) (s *redistest.Server, one, two *testGateway) {
	t.Helper()
	s = redistest.Standalone(t, "")
	one, two = start(t, append(change, onRedis(s, ""))...), start(t, append(change, onRedis(s, ""))...)
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	}
	return s, one, two
}

// onEveryBroker runs a test on one gateway with the memory broker, and on two gateways with a real Redis.
func onEveryBroker(t *testing.T, test func(t *testing.T, one, two *testGateway), change ...func(*config.Config)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		g := start(t, append(change, withKey)...)
		test(t, g, g)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		_, one, two := twoOnRedis(t, change...)
		test(t, one, two)
	})
}

// repeat calls f again and again until the caller calls stop, which waits for the last call.
func repeat(f func()) (stop func()) {
	stopping, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stopping:
				return
			default:
				f()
			}
		}
	}()
	return func() {
		close(stopping)
		<-done
	}
}

func datas(ps []*cf.Publication) string {
	var out []string
	for _, p := range ps {
		out = append(out, fmt.Sprintf("%d:%s", p.Offset, p.Data))
	}
	return strings.Join(out, " ")
}

// A client that was away gets what it missed, each message once and in order, or is told that it cannot recover.
func TestRecoveryOfMissedMessages(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				kept, short := "kept:"+name, "short:"+name
				first, _ := one.connectWith(t, encoding, &cf.ConnectRequest{})
				at := first.subscribeTo(kept)
				require.True(t, at.Recoverable)
				require.True(t, at.Positioned)
				require.NotEmpty(t, at.Epoch)
				require.Zero(t, at.Offset)
				require.False(t, at.WasRecovering)
				atShort := first.subscribeTo(short)
				two.publishTo(t, kept, "1")
				require.Equal(t, "1:1", datas([]*cf.Publication{first.publication()}))
				first.abort()
				for i := 2; i <= 4; i++ {
					two.publishTo(t, kept, fmt.Sprint(i))
					two.publishTo(t, short, fmt.Sprint(i))
				}

				back, _ := two.connectWith(t, encoding, &cf.ConnectRequest{})
				recoverFrom := func(channel string, offset uint64, epoch string) *cf.SubscribeResult {
					t.Helper()
					got := back.subscribe(&cf.SubscribeRequest{Channel: channel, Recover: true, Offset: offset, Epoch: epoch})
					require.NotNil(t, back.call(&cf.Command{Unsubscribe: &cf.UnsubscribeRequest{Channel: channel}}).Unsubscribe)
					require.True(t, got.WasRecovering)
					return got
				}
				got := recoverFrom(kept, 1, at.Epoch)
				require.True(t, got.Recovered)
				require.Equal(t, "2:2 3:3 4:4", datas(got.Publications))
				require.Equal(t, uint64(1), got.Offset, "the client goes on from there with each that it applies")
				require.Equal(t, at.Epoch, got.Epoch)
				got = recoverFrom(kept, 4, at.Epoch)
				require.True(t, got.Recovered, "nothing was missed")
				require.Empty(t, got.Publications)
				for _, position := range []struct {
					channel string
					offset  uint64
					epoch   string
				}{{kept, 1, "another"}, {kept, 99, ""}, {kept, 99, at.Epoch}, {short, 0, ""}, {short, 0, atShort.Epoch}} {
					got = recoverFrom(position.channel, position.offset, position.epoch)
					require.False(t, got.Recovered, "%v", position)
					require.Empty(t, got.Publications, "a part would look like all of it")
				}
				got = recoverFrom(short, 1, atShort.Epoch)
				require.True(t, got.Recovered)
				require.Equal(t, "2:3 3:4", datas(got.Publications))
				got = recoverFrom(kept, 0, "")
				require.True(t, got.Recovered, "a position without an epoch is one of any")
				require.Equal(t, "1:1 2:2 3:3 4:4", datas(got.Publications))
				require.Equal(t, at.Epoch, got.Epoch)

				reject := &cf.SubscribeRequest{Channel: kept, Recover: true, Offset: 1, Epoch: "another", Flag: 2}
				require.Equal(t, uint32(112), back.code(&cf.Command{Subscribe: reject}))
				two.publishTo(t, kept, "5")
				back.quiet()
				reject.Epoch = at.Epoch
				require.Len(t, back.subscribe(reject).Publications, 4)
				two.publishTo(t, kept, "6")
				require.Equal(t, "6:6", datas([]*cf.Publication{back.publication()}), "and goes on from there")
			})
		}
	}, withRules)
}

func TestRulesDecideRecoveryOfSubscriptions(t *testing.T) {
	t.Parallel()
	g := start(t, withKey, withRules)
	c := g.connectAnonymous(t)
	for channel, want := range map[string]struct{ positioned, recoverable bool }{
		"open":      {},
		"history:a": {true, false},
		"kept:a":    {true, true},
	} {
		got := c.subscribe(&cf.SubscribeRequest{Channel: channel, Positioned: true, Recoverable: true})
		require.Equal(t, want.positioned, got.Positioned, channel)
		require.Equal(t, want.recoverable, got.Recoverable, channel)
		require.Equal(t, want.positioned, got.Epoch != "", channel)
	}
	got := c.subscribe(&cf.SubscribeRequest{Channel: "history:b"})
	require.False(t, got.Positioned, "it did not ask")
}

// When the stream of a channel is lost, clients that rely on it are told: they subscribe again, or connect again when
// the server had subscribed them.
func TestRecoveryFromALostStream(t *testing.T) {
	t.Parallel()
	server, one, two := twoOnRedis(t, withRules)
	own, plainSubscriber := one.connectAnonymous(t), one.connectAnonymous(t)
	own.subscribeTo("kept:a")
	plainSubscriber.subscribeTo("history:a")
	positioned := one.connectAnonymous(t)
	positioned.subscribe(&cf.SubscribeRequest{Channel: "history:a", Positioned: true})
	served, result := one.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{})
	two.callAPI(t, "subscribe", `{"client":"`+result.Client+`","channel":"kept:a"}`)
	push := served.push()
	require.NotNil(t, push.Subscribe)
	require.True(t, push.Subscribe.Recoverable)
	for _, channel := range []string{"kept:a", "history:a"} {
		two.publishTo(t, channel, `"before"`)
	}
	for _, c := range []*sdk{own, plainSubscriber, positioned, served} {
		require.JSONEq(t, `"before"`, string(c.publication().Data))
	}

	for _, channel := range []string{"kept:a", "history:a"} {
		require.NoError(t, server.LoseStream(t.Context(), channel))
		two.publishTo(t, channel, `"after"`)
	}
	require.Equal(t, uint32(2500), own.unsubscribed("kept:a"))
	require.Equal(t, uint32(2500), positioned.unsubscribed("history:a"))
	require.JSONEq(t, `"after"`, string(plainSubscriber.publication().Data), "a client without recovery stays subscribed")
	served.closed(3010, "insufficient state")

	got := own.subscribe(&cf.SubscribeRequest{Channel: "kept:a", Recover: true, Offset: 1, Epoch: "gone"})
	require.False(t, got.Recovered)
	two.publishTo(t, "kept:a", `"again"`)
	require.JSONEq(t, `"again"`, string(own.publication().Data))
	own.quiet()
}

// Messages that Redis Pub/Sub lost are read from the stream. The clients notice nothing.
func TestRecoveryOfMessagesThatPubSubLost(t *testing.T) {
	t.Parallel()
	s, g, other := twoOnRedis(t, withRules)
	c := g.connectAnonymous(t)
	c.subscribeTo("kept:a")
	redis := s.Client()
	t.Cleanup(func() { _ = redis.Close() })
	sent := 0
	for range 5 {
		require.NoError(t, redis.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err())
		for range 10 {
			sent++
			other.publishTo(t, "kept:a", fmt.Sprint(sent))
		}
	}
	for i := range sent {
		require.Equal(t, fmt.Sprintf("%d:%d", i+1, i+1), datas([]*cf.Publication{c.publication()}))
	}
	c.quiet()
}

func TestServerSideSubscriptionsRecover(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				kept, open := "kept:"+name, "open:"+name
				claims := user("ann")
				claims["channels"] = []string{open, kept, open}
				two.publishTo(t, kept, "1")
				c, result := one.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, claims)})
				require.Len(t, result.Subs, 2)
				require.False(t, result.Subs[open].Recoverable)
				at := result.Subs[kept]
				require.True(t, at.Recoverable)
				require.Equal(t, uint64(1), at.Offset)
				// One after the other: there is no order between channels.
				two.publishTo(t, kept, "2")
				require.Equal(t, "2:2", datas([]*cf.Publication{c.publication()}))
				two.publishTo(t, open, "3")
				require.Equal(t, "0:3", datas([]*cf.Publication{c.publication()}))
				require.Equal(t, uint32(105), c.code(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: open}}))
				c.abort()
				two.publishTo(t, kept, "4")

				_, result = two.connectWith(t, encoding,
					&cf.ConnectRequest{
						Token: signed(t, claims),
						Subs:  map[string]*cf.SubscribeRequest{kept: {Recover: true, Offset: 1, Epoch: at.Epoch}},
					})
				require.True(t, result.Subs[kept].Recovered)
				require.True(t, result.Subs[kept].WasRecovering)
				require.Equal(t, "2:2 3:4", datas(result.Subs[kept].Publications))

				claims["channels"] = []string{"1", "2", "3", "4", "5"}
				many := one.dialCentrifuge(t, encoding)
				many.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: signed(t, claims)}})
				many.closed(3505, "channel limit")
			})
		}
		one.awaitMetric(t, 0, "websocket_connections")
		require.Contains(t, one.callAPI(t, "connections", `{"user":"ann"}`).body, `"connections":[`)
	}, withRules, withTokens, func(cfg *config.Config) { cfg.MaxChannelsPerConnection = 4 })
}

// In a channel with a cache a client gets the latest message, unless it has it, and then what comes, in order.
func TestRecoveryOfTheLatestMessage(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				channel := "state:" + name
				recoverFrom := func(r *cf.SubscribeRequest) (*sdk, *cf.SubscribeResult) {
					t.Helper()
					s, _ := two.connectWith(t, encoding, &cf.ConnectRequest{})
					r.Channel, r.Recover = channel, true
					got := s.subscribe(r)
					require.True(t, got.WasRecovering)
					require.True(t, got.Recoverable)
					require.True(t, got.Positioned)
					return s, got
				}
				first, got := recoverFrom(&cf.SubscribeRequest{})
				require.False(t, got.Recovered, "there is none")
				require.Empty(t, got.Publications)
				epoch := got.Epoch
				_, got = recoverFrom(&cf.SubscribeRequest{Flag: 2})
				require.False(t, got.Recovered, "nor is it refused")
				for i := range 3 {
					one.publishTo(t, channel, fmt.Sprint(i+1))
					require.Equal(t, uint64(i+1), first.publication().Offset)
				}
				for _, since := range []*cf.SubscribeRequest{
					{}, {Epoch: epoch}, {Offset: 1, Epoch: epoch}, {Offset: 2, Epoch: epoch}, {Offset: 3}, {Offset: 3, Epoch: "x"},
					{Offset: 9, Epoch: epoch}, {Offset: 1, Epoch: "x", Flag: 2},
				} {
					s, got := recoverFrom(since)
					require.True(t, got.Recovered, "%v", since)
					require.Equal(t, "3:3", datas(got.Publications), "%v", since)
					require.Equal(t, uint64(2), got.Offset, "the client goes on from there when it has applied it")
					require.Equal(t, epoch, got.Epoch)
					s.abort()
				}
				s, got := recoverFrom(&cf.SubscribeRequest{Offset: 3, Epoch: epoch})
				require.True(t, got.Recovered, "it has the latest")
				require.Empty(t, got.Publications)
				require.Equal(t, uint64(3), got.Offset)
				fresh, _ := two.connectWith(t, encoding, &cf.ConnectRequest{})
				got = fresh.subscribeTo(channel)
				require.False(t, got.WasRecovering)
				require.Empty(t, got.Publications, "it did not ask")
				for _, data := range []string{"4", "5"} {
					one.publishTo(t, channel, data)
					for _, s := range []*sdk{first, s, fresh} {
						require.Equal(t, data+":"+data, datas([]*cf.Publication{s.publication()}))
					}
				}
				one.callAPI(t, "history_remove", `{"channel":"`+channel+`"}`)
				_, got = recoverFrom(&cf.SubscribeRequest{Offset: 4, Epoch: epoch})
				require.False(t, got.Recovered, "it is gone")
				require.Empty(t, got.Publications)
				_, got = recoverFrom(&cf.SubscribeRequest{Offset: 5, Epoch: epoch})
				require.True(t, got.Recovered)
			})
		}
	}, withRules)
}

// Clients that subscribe while messages come have the latest, and from there each once and in order.
func TestRecoveryOfTheLatestMessageWhileMessagesCome(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		defer repeat(func() { two.publishTo(t, "state:a", "1") })()
		for range 30 {
			c := one.connectAnonymous(t)
			got := c.subscribe(&cf.SubscribeRequest{Channel: "state:a", Recover: true})
			require.LessOrEqual(t, len(got.Publications), 1)
			require.Equal(t, got.Recovered, len(got.Publications) == 1)
			offset := got.Offset
			for _, p := range got.Publications {
				offset++
				require.Equal(t, offset, p.Offset)
			}
			for range 3 {
				offset++
				require.Equal(t, offset, c.publication().Offset, "nothing is missing after it, or there twice")
			}
			c.abort()
		}
	}, withRules)
}

// The reply to the connect command comes before publications in the channels that the server subscribes the client to.
func TestConnectReplyComesBeforePublications(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		claims := user("ann")
		claims["channels"] = []string{"open:a", "kept:a", "kept:b"}
		token := signed(t, claims)
		defer repeat(func() {
			two.publishTo(t, "open:a", "1")
			two.publishTo(t, "kept:a", "1")
			two.callAPI(t, "send", `{"user":"ann","data":1}`)
		})()
		for range 30 {
			c := one.dialCentrifuge(t, cf.TypeJSON)
			c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: token}})
			first := c.next()
			require.NotNil(t, first.Connect, "%v", first)
			offset := first.Connect.Subs["kept:a"].Offset
			for seen := 0; seen < 2; {
				if p := c.push(); p.Pub != nil && p.Channel == "kept:a" {
					offset++
					require.Equal(t, offset, p.Pub.Offset, "nothing is missing after it, or there twice")
					seen++
				}
			}
			c.abort()
		}
	}, withRules, withTokens)
}

func TestHistoryOfAChannel(t *testing.T) {
	t.Parallel()
	g := start(t, withKey, withRules)
	for i := range 5 {
		g.publishTo(t, "kept:a", fmt.Sprint(i+1))
	}
	for name, encoding := range encodings() {
		t.Run(name, func(t *testing.T) {
			c, _ := g.connectWith(t, encoding, &cf.ConnectRequest{})
			require.Equal(t, uint32(103), c.code(&cf.Command{History: &cf.HistoryRequest{Channel: "kept:a"}}))
			epoch := c.subscribeTo("kept:a").Epoch
			for _, step := range []struct {
				request *cf.HistoryRequest
				want    string
				code    uint32
			}{
				{&cf.HistoryRequest{}, "", 0},
				{&cf.HistoryRequest{Limit: 2}, "1:1 2:2", 0},
				{&cf.HistoryRequest{Limit: -1}, "1:1 2:2 3:3 4:4 5:5", 0},
				{&cf.HistoryRequest{Limit: 1000}, "1:1 2:2 3:3 4:4 5:5", 0},
				{&cf.HistoryRequest{Limit: 2, Reverse: true}, "5:5 4:4", 0},
				{&cf.HistoryRequest{Limit: 9, Since: &cf.StreamPosition{Offset: 3, Epoch: epoch}}, "4:4 5:5", 0},
				{&cf.HistoryRequest{Limit: 9, Reverse: true, Since: &cf.StreamPosition{Offset: 3, Epoch: epoch}}, "2:2 1:1", 0},
				{&cf.HistoryRequest{Limit: 9, Since: &cf.StreamPosition{Offset: 3}}, "4:4 5:5", 0},
				{&cf.HistoryRequest{Limit: 9, Reverse: true, Since: &cf.StreamPosition{Offset: 3}}, "2:2 1:1", 0},
				{&cf.HistoryRequest{Limit: 1001}, "", 106},
				{&cf.HistoryRequest{Limit: 9, Since: &cf.StreamPosition{Offset: 3, Epoch: "x"}}, "", 112},
				{&cf.HistoryRequest{Limit: 9, Reverse: true, Since: &cf.StreamPosition{Epoch: epoch}}, "", 107},
			} {
				step.request.Channel = "kept:a"
				reply := c.call(&cf.Command{History: step.request})
				if step.code != 0 {
					require.NotNil(t, reply.Error, "%v", step.request)
					require.Equal(t, step.code, reply.Error.Code)
					continue
				}
				require.Nil(t, reply.Error, "%v", reply.Error)
				require.Equal(t, step.want, datas(reply.History.Publications))
				require.Equal(t, uint64(5), reply.History.Offset)
				require.Equal(t, epoch, reply.History.Epoch)
			}
		})
	}
}

// A history that was removed takes nothing from clients that have it, and from no client what comes after.
func TestHistoryRemoveLeavesSubscribersAsTheyAre(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		c := one.connectAnonymous(t)
		at := c.subscribeTo("kept:a")
		for _, data := range []string{"1", "2"} {
			two.publishTo(t, "kept:a", data)
			require.Equal(t, data, string(c.publication().Data))
		}
		two.callAPI(t, "history_remove", `{"channel":"kept:a"}`)
		two.publishTo(t, "kept:a", "3")
		require.Equal(t, "3:3", datas([]*cf.Publication{c.publication()}))
		c.quiet()
		for offset, recovered := range map[uint64]string{1: "", 2: "3:3", 3: ""} {
			back := one.connectAnonymous(t)
			got := back.subscribe(&cf.SubscribeRequest{Channel: "kept:a", Recover: true, Offset: offset, Epoch: at.Epoch})
			require.Equal(t, offset > 1, got.Recovered, "from %d: what was removed cannot be told any more", offset)
			require.Equal(t, recovered, datas(got.Publications))
		}
	}, withRules)
}

// The plain protocol cannot report missed messages, so plain clients stay and get what comes next.
func TestPlainClientsSurviveALostStream(t *testing.T) {
	t.Parallel()
	server, one, two := twoOnRedis(t, withRules)
	plain, sdk := one.dial(t, "/ws?channel=kept:a"), one.connectAnonymous(t)
	sdk.subscribeTo("kept:a")
	two.publishTo(t, "kept:a", "1")
	plain.expect("1")
	require.NotNil(t, sdk.publication())
	require.NoError(t, server.LoseStream(t.Context(), "kept:a"))
	for _, data := range []string{"2", "3"} {
		two.publishTo(t, "kept:a", data)
		plain.expect(data)
	}
	require.Equal(t, uint32(2500), sdk.unsubscribed("kept:a"), "an SDK subscribes again by itself")
	plain.text("4")
	plain.expect("4")
}
