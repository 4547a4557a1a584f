package gateway_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// A frame holds several commands, and several replies. In Protobuf each is prefixed by its length.
func TestCentrifugeProtobuf(t *testing.T) {
	t.Parallel()
	g := start(t, withKey, withRules)
	c, result := g.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{})
	require.Equal(t, "centrifuge-protobuf", c.Subprotocol())
	require.True(t, result.Pong)
	require.Equal(t, "node-1", result.Node)

	c.write(&cf.Command{Id: 2, Subscribe: &cf.SubscribeRequest{Channel: "a"}}, &cf.Command{Id: 3, Ping: &cf.PingRequest{}},
		&cf.Command{Id: 4, PresenceStats: &cf.PresenceStatsRequest{Channel: "a"}},
		&cf.Command{Id: 5, Unsubscribe: &cf.UnsubscribeRequest{Channel: "never"}},
	)
	var got []string
	frames := 0
	for len(got) < 4 {
		kind, frame, err := c.read()
		require.NoError(t, err)
		require.Equal(t, websocket.MessageBinary, kind)
		frames++
		for _, r := range c.decode([]byte(frame)) {
			got = append(got, fmt.Sprint(r.Id))
		}
	}
	require.Equal(t, []string{"2", "3", "4", "5"}, got)
	require.Equal(t, 2, frames, "the subscription's answer goes out before its publications, the others together")

	other := g.connectAnonymous(t)
	other.subscribeTo("a")
	require.Equal(t, uint32(107), c.code(&cf.Command{Publish: &cf.PublishRequest{Channel: "a"}}), "no data")
	for sent, want := range map[string]string{`{"x":1}`: `{"x":1}`, "\x00\xff": `"AP8="`, "text": `"dGV4dA=="`} {
		require.NotNil(t, c.call(&cf.Command{Publish: &cf.PublishRequest{Channel: "a", Data: []byte(sent)}}).Publish)
		require.Equal(t, sent, string(c.publication().Data), "bytes are bytes")
		require.Equal(t, want, string(other.publication().Data))
	}
	for _, query := range []string{"?format=protobuf", "?cf_protocol=protobuf"} {
		d := &sdk{client: g.dial(t, path+query), encoding: cf.TypeProtobuf}
		require.NotNil(t, d.call(&cf.Command{Connect: &cf.ConnectRequest{}}).Connect, query)
	}
	for name, frame := range map[string]string{
		"empty":     "",
		"cut off":   "\x05\x08",
		"no length": "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"JSON":      `{"id":1,"connect":{}}`,
		"huge":      "\xff\xff\xff\xff\x0f\x00",
	} {
		broken := g.dialCentrifuge(t, cf.TypeProtobuf)
		t.Log(name)
		broken.send(websocket.MessageBinary, frame)
		broken.closed(3501, "bad request")
	}
}

func TestCentrifugePingsInProtobuf(t *testing.T) {
	t.Parallel()
	g := start(t, func(cfg *config.Config) { cfg.PingInterval, cfg.PongTimeout = 2*time.Second, 1800*time.Millisecond })
	c, _ := g.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{})
	for range 2 {
		require.Empty(t, c.next().String(), "an empty reply")
		c.write(&cf.Command{})
	}
	c.closed(3012, "no pong")
}

// Each case is a code that ends a connection or a subscription, and what causes it.
func TestCentrifugeDisconnectCodes(t *testing.T) {
	t.Parallel()
	g := start(t, withKey, withRules, func(cfg *config.Config) { cfg.ConnectTimeout = time.Second })
	stale := g.dialCentrifuge(t, cf.TypeJSON)
	client := func() (*sdk, string) {
		c, result := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{})
		return c, result.Client
	}
	for name, c := range map[string]struct {
		method, body string
		code         int
		reason       string
	}{
		"the backend's default": {"disconnect", `{"client":"%s"}`, 3503, "force disconnect"},
		"the backend's own": {"disconnect", `{"client":"%s","disconnect":{"code":4321,"reason":"banned"}}`, 4321,
			"banned"},
		"a shutdown of its own": {"disconnect", `{"client":"%s","disconnect":{"code":3001,"reason":"moved"}}`, 3001,
			"moved"},
		"the backend expires it": {"refresh", `{"client":"%s","expired":true}`, 3005, "connection expired"},
	} {
		t.Run(name, func(t *testing.T) {
			s, id := client()
			g.callAPI(t, c.method, fmt.Sprintf(c.body, id))
			s.closed(c.code, c.reason)
			// The client reads the close frame a moment before the gateway forgets the connection.
			require.Eventually(t, func() bool {
				answer := g.api(t, "GET", "connections/"+id, "", "X-API-Key", key)
				return strings.Contains(answer.body, "no such connection")
			}, waitTimeout, tick)
		})
	}
	stale.closed(3502, "stale")

	s, id := client()
	g.callAPI(t, "subscribe", `{"client":"`+id+`","channel":"a"}`)
	require.NotNil(t, s.push().Subscribe)
	g.callAPI(t, "unsubscribe", `{"client":"`+id+`","channel":"a"}`)
	require.Equal(t, uint32(2000), s.unsubscribed("a"))
	s.subscribeTo("b")
	g.callAPI(t, "unsubscribe", `{"client":"`+id+`","channel":"b"}`)
	require.Equal(t, uint32(2000), s.unsubscribed("b"))
	g.callAPI(t, "subscribe",
		fmt.Sprintf(`{"client":"%s","channel":"c","expire_at":%d}`, id, time.Now().Add(time.Second).Unix()))
	require.NotNil(t, s.push().Subscribe)
	require.Equal(t, uint32(2501), s.unsubscribed("c"), "at its time: the client could not renew it")
	g.callAPI(t, "refresh", fmt.Sprintf(`{"client":"%s","expire_at":%d}`, id, time.Now().Add(time.Hour).Unix()))
	refresh := s.push().Refresh
	require.NotNil(t, refresh)
	require.True(t, refresh.Expires)
	require.InDelta(t, time.Hour.Seconds(), refresh.Ttl, 10)
	g.callAPI(t, "send", `{"client":"`+id+`","data":{"x":1}}`)
	require.JSONEq(t, `{"x":1}`, string(s.push().Message.Data))
	s.quiet()
}

func TestServerAPIReachesPlainClients(t *testing.T) {
	t.Parallel()
	g := start(t, withKey, withRules, withTokens)
	connect := func() (*client, string) {
		c := g.dial(t, "/ws?channel=a&token="+signed(t, user("ann")))
		var listed struct {
			Result struct{ Connections []struct{ ID string } }
		}
		g.callAPI(t, "connections", `{"user":"ann"}`).json(t, &listed)
		return c, listed.Result.Connections[len(listed.Result.Connections)-1].ID
	}
	c, id := connect()
	g.callAPI(t, "subscribe", `{"client":"`+id+`","channel":"closed:b"}`)
	g.publishTo(t, "closed:b", `1`)
	c.expect("1")
	g.callAPI(t, "send", `{"client":"`+id+`","data":{"x":1}}`)
	c.expect(`{"x":1}`)
	g.callAPI(t, "unsubscribe", `{"client":"`+id+`","channel":"closed:b"}`)
	g.publishTo(t, "closed:b", `2`)
	g.publishTo(t, "a", `3`)
	c.expect("3")
	g.callAPI(t, "refresh", `{"client":"`+id+`","expired":true}`)
	c.closed(1008, "token expired")

	g.awaitMetric(t, 0, "websocket_connections")
	c, id = connect()
	g.callAPI(t, "refresh", fmt.Sprintf(`{"client":"%s","expire_at":%d}`, id, time.Now().Add(time.Second).Unix()))
	c.closed(1008, "token expired")
	g.awaitMetric(t, 0, "websocket_connections")
	c, id = connect()
	g.callAPI(t, "unsubscribe", `{"client":"`+id+`","channel":"a"}`)
	c.text("to where it was subscribed")
	c.closed(1008, "not allowed")
}

func TestPresenceOfClients(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		watcher := one.connectAs(t, "watcher")
		watcher.subscribe(&cf.SubscribeRequest{Channel: "seen:a", JoinLeave: true})
		told := func() string {
			p := watcher.push()
			if p.Join != nil {
				return "+" + p.Join.Info.User
			}
			require.NotNil(t, p.Leave, "%v", p)
			return "-" + p.Leave.Info.User
		}
		require.Equal(t, "+watcher", told(), "it hears itself come")
		ann := two.connectAs(t, "ann")
		ann.subscribeTo("seen:a")
		require.Equal(t, "+ann", told())
		require.NotNil(t, ann.call(&cf.Command{Unsubscribe: &cf.UnsubscribeRequest{Channel: "seen:a"}}).Unsubscribe)
		require.Equal(t, "-ann", told())
		ann.subscribeTo("seen:a")
		require.Equal(t, "+ann", told())

		members := watcher.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: "seen:a"}}).Presence.Presence
		require.Len(t, members, 2)
		stats := watcher.call(&cf.Command{PresenceStats: &cf.PresenceStatsRequest{Channel: "seen:a"}}).PresenceStats
		require.Equal(t, []uint32{2, 2}, []uint32{stats.NumClients, stats.NumUsers})

		ann.abort()
		again := one.connectAs(t, "ann")
		again.subscribeTo("seen:a")
		require.ElementsMatch(t, []string{"-ann", "+ann"}, []string{told(), told()}, "another client of hers")
		bob := two.connectAs(t, "bob")
		bob.subscribeTo("seen:a")
		require.Equal(t, "+bob", told())
		again.abort()
		require.Equal(t, "-ann", told(), "she is now")
		plain := two.dial(t, "/ws?channel=seen:a&token="+signed(t, user("eve")))
		require.Equal(t, "+eve", told(), "members that get no events are listed all the same")
		require.NoError(t, plain.CloseNow())
		require.Equal(t, "-eve", told())
		watcher.subscribeTo("open")
		require.Equal(t, uint32(108), watcher.code(&cf.Command{Presence: &cf.PresenceRequest{Channel: "open"}}))
	}, withRules, withTokens)
}

// Where the rule forces them, joins and leaves come to subscribers that have not asked for them.
func TestPresenceJoinsAndLeavesAreForced(t *testing.T) {
	event := func(p *cf.Push) string {
		if p.Join != nil {
			return "+" + p.Join.Info.User
		}
		require.NotNil(t, p.Leave, "%v", p)
		return "-" + p.Leave.Info.User
	}
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for encodingName, encoding := range encodings() {
			for _, c := range []struct {
				prefix     string
				asks, told bool
			}{{"seen:", false, false}, {"seen:", true, true}, {"forced:", false, true}, {"forced:", true, true}} {
				name := fmt.Sprint(c.prefix, encodingName, c.asks)
				listener := one.connectAs(t, "listener")
				listener.subscribe(&cf.SubscribeRequest{Channel: name, JoinLeave: true})
				require.Equal(t, "+listener", event(listener.push()))
				watcher, _ := one.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, user("watcher"))})
				watcher.subscribe(&cf.SubscribeRequest{Channel: name, JoinLeave: c.asks})
				ann := two.connectAs(t, "ann")
				ann.subscribeTo(name)
				ann.call(&cf.Command{Unsubscribe: &cf.UnsubscribeRequest{Channel: name}})
				plain := two.dial(t, "/ws?channel="+name+"&token="+signed(t, user("eve")))
				events := []string{"+watcher", "+ann", "-ann", "+eve"}
				told := []*sdk{listener}
				if c.told {
					told = append(told, watcher)
				}
				for _, s := range told {
					var got []string
					for range events {
						got = append(got, event(s.push()))
					}
					require.ElementsMatch(t, events, got, "%s, asks %t", name, c.asks)
				}
				two.publishTo(t, name, `"last"`)
				require.JSONEq(t, `"last"`, string(watcher.publication().Data), "%s, asks %t", name, c.asks)
				plain.expect(`"last"`)
			}
		}
	}, withRules, withTokens)
}

// Clients that are not subscribed read what the rule opens to them.
func TestPresenceAndHistoryForAnybody(t *testing.T) {
	everywhere := func(cfg *config.Config) {
		history := channel.History{Size: 5, TTL: channel.Duration(time.Minute)}
		open := channel.Rule{
			History:      history,
			Presence:     true,
			ReadPresence: channel.ReadAnybody,
			ReadHistory:  channel.ReadAnybody,
		}
		for _, pattern := range []string{"$open:*", "*"} {
			open.Pattern = pattern
			cfg.Channels = append(cfg.Channels, open)
		}
	}
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, c := range map[string]struct{ presence, history uint32 }{
			"members:a": {0, 103}, "log:a": {103, 0}, "seen:a": {103, 103}, "open:a": {0, 0}, "a$": {0, 0},
			"$open:a": {0, 0}, "$secret:a": {103, 103}, "$": {103, 103},
		} {
			two.publishTo(t, name, "1")
			claims := user("bob")
			claims["channels"] = []string{name}
			_, connected := two.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, claims)})
			for encodingName, encoding := range encodings() {
				s, _ := one.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, user("ann"))})
				what := name + " " + encodingName
				presence := s.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: name}})
				stats := s.call(&cf.Command{PresenceStats: &cf.PresenceStatsRequest{Channel: name}})
				if c.presence == 0 {
					require.Nil(t, presence.Error, what)
					require.Len(t, presence.Presence.Presence, 1, what)
					require.Equal(t, "bob", presence.Presence.Presence[connected.Client].User, what)
					require.Equal(t, uint32(1), stats.PresenceStats.NumClients, what)
				} else {
					require.Equal(t, c.presence, presence.Error.GetCode(), what)
					require.Equal(t, c.presence, stats.Error.GetCode(), what)
				}
				history := s.call(&cf.Command{History: &cf.HistoryRequest{Channel: name, Limit: 9}})
				if c.history == 0 {
					require.Nil(t, history.Error, what)
					require.Equal(t, "1:1", datas(history.History.Publications), what)
				} else {
					require.Equal(t, c.history, history.Error.GetCode(), what)
				}
			}
		}
		early := one.dialCentrifuge(t, cf.TypeJSON)
		early.write(&cf.Command{Id: 1, Presence: &cf.PresenceRequest{Channel: "members:a"}})
		early.closed(3501, "bad request")
	}, withRules, everywhere, withTokens)
}

// The gateway renews its members of every protocol, so that they stay for longer than their time to live.
func TestPresenceIsRenewed(t *testing.T) {
	shortTTL := func(cfg *config.Config) {
		cfg.PresenceTTL, cfg.PresenceGrace = time.Second, 300*time.Millisecond
	}
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		watcher := one.connectAs(t, "watcher")
		watcher.subscribe(&cf.SubscribeRequest{Channel: "seen:a", JoinLeave: true})
		one.dial(t, "/ws?channel=seen:a&token="+signed(t, user("eve")))
		for range 25 {
			time.Sleep(100 * time.Millisecond)
			members := two.callAPI(t, "presence", `{"channel":"seen:a"}`).body
			require.Equal(t, 2, strings.Count(members, `"user"`), members)
		}
		for _, want := range []string{"watcher", "eve"} {
			p := watcher.push()
			require.NotNil(t, p.Join, "%v", p)
			require.Equal(t, want, p.Join.Info.User)
		}
	}, withRules, withTokens, shortTTL)
}

// A client that unsubscribes and subscribes again in one frame is a member afterwards.
func TestPresenceOfAClientThatSubscribesAgain(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		c := one.connectAs(t, "ann")
		c.subscribeTo("seen:a")
		for range 50 {
			c.write(&cf.Command{Id: 1, Unsubscribe: &cf.UnsubscribeRequest{Channel: "seen:a"}},
				&cf.Command{Id: 2, Subscribe: &cf.SubscribeRequest{Channel: "seen:a"}})
			c.reply()
			require.Nil(t, c.reply().Error)
		}
		var got struct {
			Result struct{ Presence map[string]any }
		}
		// Events come in order: all earlier ones come before the join of another client of the same gateway.
		watcher := one.connectAs(t, "watcher")
		watcher.subscribeTo("seen:a")
		require.NoError(t, json.Unmarshal([]byte(two.callAPI(t, "presence", `{"channel":"seen:a"}`).body), &got))
		require.Len(t, got.Result.Presence, 2)
	}, withRules, withTokens)
}

func TestServerAPIRevokesTokens(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		old := signed(t, user("ann"))
		c, _ := one.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: old})
		two.callAPI(t, "disconnect", `{"user":"ann","revoke":true}`)
		c.closed(3503, "force disconnect")
		again := two.dialCentrifuge(t, cf.TypeJSON)
		again.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: old}})
		again.closed(3500, "invalid token")
		_, response, err := two.tryDial(t, "/ws?channel=a&token="+old)
		require.Error(t, err)
		require.Equal(t, 401, response.StatusCode)
		one.connectAs(t, "bob")
		later := user("ann")
		// Tokens have their time of issue in whole seconds.
		later["iat"] = time.Now().Add(2 * time.Second).Unix()
		one.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, later)})
	}, withTokens)
}
