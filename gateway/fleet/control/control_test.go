package control_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Each method reaches the clients that its target names, on all gateways, and no others.
func TestDispatchReachesItsTarget(t *testing.T) {
	soon := time.Unix(4_000_000_000, 0)
	methods := map[string]struct {
		call func(t *testing.T, g *gateway, target serverapi.Target) error
		want string
	}{
		"subscribe": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			return g.Subscribe(t.Context(), target, "room",
				serverapi.SubscribeOptions{
					Info:         []byte(`{"a":1}`),
					Data:         []byte(`{"b":2}`),
					ExpireAt:     soon,
					RecoverSince: &broker.Position{Offset: 3, Epoch: "e"},
				})
		}, `subscribe room info={"a":1} data={"b":2} until=4000000000 since=&{3 e}`},
		"subscribe without options": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			return g.Subscribe(t.Context(), target, "room", serverapi.SubscribeOptions{})
		}, `subscribe room info= data= until=0 since=<nil>`},
		"unsubscribe": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			return g.Unsubscribe(t.Context(), target, "room")
		}, "unsubscribe room"},
		"disconnect": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			return g.Disconnect(t.Context(), target, serverapi.Disconnect{Code: 4001, Reason: "bye"},
				serverapi.DisconnectOptions{})
		}, "disconnect 4001 bye"},
		"refresh": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			return g.Refresh(t.Context(), target, serverapi.RefreshOptions{ExpireAt: soon, Info: []byte("1")})
		}, "refresh until=4000000000 expired=false info=1"},
		"expire": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			return g.Refresh(t.Context(), target, serverapi.RefreshOptions{Expired: true})
		}, "refresh until=0 expired=true info="},
		"send": {func(t *testing.T, g *gateway, target serverapi.Target) error {
			_, err := g.Send(t.Context(), target, []byte("\x00hi"), true)
			return err
		}, `message "\x00hi" binary=true`},
	}
	for name, m := range methods {
		t.Run(name, func(t *testing.T) {
			fleet(t, "one two", func(t *testing.T, g []*gateway) {
				ann := []*fakeClient{g[0].connect("ann", "x", "y"), g[0].connect("ann", "x", "y"), g[1].connect("ann", "x", "y")}
				others := []*fakeClient{g[0].connect("bob", "x"), g[1].connect("")}
				require.NoError(t, m.call(t, g[0], serverapi.Target{User: "ann"}))
				for _, c := range ann {
					require.Equal(t, m.want, c.calls(), "to a user")
				}
				require.NoError(t, m.call(t, g[0], serverapi.Target{Client: ann[2].conn.ID()}))
				require.Equal(t, m.want, ann[2].calls(), "to one connection, on another gateway")
				require.NoError(t, m.call(t, g[0], serverapi.Target{Client: ann[0].conn.ID(), User: "ann"}))
				require.Equal(t, m.want, ann[0].calls(), "to one connection of a user")
				require.ErrorIs(t, m.call(t, g[0], serverapi.Target{Client: ann[0].conn.ID(), User: "bob"}),
					serverapi.ErrUnknownConnection)
				require.NoError(t, m.call(t, g[0], serverapi.Target{User: "nobody"}), "a user without connections is no error")
				for _, c := range append(ann, others...) {
					require.Empty(t, c.calls())
				}
			})
		})
	}
}

func TestDispatchRefusesUnknownConnections(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		left := g[1].connect("ann")
		g[1].clients.Remove(left.conn.id)
		killed := g[1].connect("bob")
		for name, id := range map[string]string{
			"not an id":             "x",
			"empty":                 "{}",
			"of no gateway":         uuid.NewString(),
			"of a gateway":          g[1].id.NewID().String(),
			"of a client that left": left.conn.ID(),
		} {
			_, err := g[0].Send(t.Context(), serverapi.Target{Client: id}, nil, false)
			require.ErrorIs(t, err, serverapi.ErrUnknownConnection, name)
			_, err = g[0].Connection(t.Context(), id)
			require.ErrorIs(t, err, serverapi.ErrUnknownConnection, name)
		}
		g[1].killed = true
		start := time.Now()
		_, err := g[0].Send(t.Context(), serverapi.Target{Client: killed.conn.ID()}, nil, false)
		require.ErrorIs(t, err, serverapi.ErrUnknownConnection, "of a gateway that no longer exists")
		require.Zero(t, time.Since(start), "there is no response to wait for")
	})
}

func TestSendCountsReachedClients(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		send := func(user string) int {
			reached, err := g[0].Send(t.Context(), serverapi.Target{User: user}, []byte("x"), false)
			require.NoError(t, err)
			return reached
		}
		require.Zero(t, send("ann"))
		g[0].connect("ann")
		g[1].connect("ann")
		g[1].connect("ann").refuses = true
		require.Equal(t, 2, send("ann"), "a client that refuses the message is not counted")
		g[1].killed = true
		require.Equal(t, 1, send("ann"), "a client of a gateway that no longer exists is not counted")
	})
}

// A user that moves to another gateway is on none for a moment. It is looked for again.
func TestDispatchFindsUserThatMoves(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		g[0].clients.Remove(g[0].connect("ann").conn.id)
		synctest.Wait()
		arrived := make(chan *fakeClient, 1)
		time.AfterFunc(300*time.Millisecond, func() { arrived <- g[1].connect("ann") })
		reached, err := g[0].Send(t.Context(), serverapi.Target{User: "ann"}, []byte("x"), false)
		require.NoError(t, err)
		require.Equal(t, 1, reached)
		moved := <-arrived
		require.Equal(t, `message "x" binary=false`, moved.calls(), "once")

		g[1].clients.Remove(moved.conn.id)
		start := time.Now()
		reached, err = g[0].Send(t.Context(), serverapi.Target{User: "ann"}, []byte("x"), false)
		require.NoError(t, err)
		require.Zero(t, reached)
		require.Equal(t, 800*time.Millisecond, time.Since(start), "it stops after maxAttempts")
	})
}

// A gateway that does not respond may not have executed the command.
func TestDispatchFailsWithoutResponse(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		here, there := g[0].connect("ann"), g[1].connect("ann")
		g[1].unresponsive = true
		reached, err := g[0].Send(t.Context(), serverapi.Target{User: "ann"}, []byte("x"), false)
		require.ErrorIs(t, err, broker.ErrUnavailable)
		require.ErrorContains(t, err, "does not answer")
		require.Equal(t, 1, reached)
		require.NotEmpty(t, here.calls())
		_, err = g[0].Connection(t.Context(), there.conn.ID())
		require.ErrorIs(t, err, broker.ErrUnavailable)
		_, err = g[0].Connections(t.Context(), serverapi.ConnectionQuery{Channel: "room"})
		require.ErrorIs(t, err, broker.ErrUnavailable)
		_, err = g[0].Channels(t.Context(), "")
		require.ErrorIs(t, err, broker.ErrUnavailable)
		_, err = g[0].Connection(t.Context(), here.conn.ID())
		require.NoError(t, err, "the connection is on another gateway")
	})
}

func TestSubscribeExplainsFailure(t *testing.T) {
	for name, c := range map[string]struct {
		subscribeError error
		want           error
		says           string
	}{
		"already subscribed":    {session.ErrSubscribed, nil, ""},
		"ended in the meantime": {session.ErrSubscriptionEnded, nil, ""},
		"protocol cannot do it": {session.ErrNotAvailable, serverapi.ErrNotAvailable, "protocol"},
		"too many channels": {fmt.Errorf("%w: the limit is 1", session.ErrTooManyChannels), serverapi.ErrNotAvailable,
			"max-channels-per-connection"},
		"broker down": {broker.ErrUnavailable, broker.ErrUnavailable, ""},
		"other error": {errDown, broker.ErrUnavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fleet(t, "one two", func(t *testing.T, g []*gateway) {
				good, bad := g[0].connect("ann"), g[1].connect("ann")
				bad.subscribeError = c.subscribeError
				err := g[0].Subscribe(t.Context(), serverapi.Target{User: "ann"}, "room", serverapi.SubscribeOptions{})
				require.ErrorIs(t, err, c.want)
				if c.want != nil {
					require.ErrorContains(t, err, c.says)
				}
				require.NotEmpty(t, good.calls(), "the other client is subscribed")
			})
		})
	}
}

func TestDisconnectKeepsExceptedAndRevokes(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		stays, goes := g[0].connect("ann"), g[1].connect("ann")
		require.NoError(t,
			g[0].Disconnect(t.Context(), serverapi.Target{User: "ann"}, serverapi.Disconnect{Code: 3503},
				serverapi.DisconnectOptions{Whitelist: []string{stays.conn.ID()}}))
		require.Empty(t, stays.calls())
		require.NotEmpty(t, goes.calls())
		revoked, err := g[1].broker.Revoked(t.Context(), "ann")
		require.NoError(t, err)
		require.True(t, revoked.IsZero())

		require.NoError(t,
			g[0].Disconnect(t.Context(), serverapi.Target{User: "bob"}, serverapi.Disconnect{Code: 3503},
				serverapi.DisconnectOptions{Revoke: true}))
		revoked, err = g[1].broker.Revoked(t.Context(), "bob")
		require.NoError(t, err)
		require.Equal(t, time.Now(), revoked, "also for a user without connections")
	})
}

func TestConnectionsLists(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		first := g[1].connect("ann", "room", "hall")
		time.Sleep(time.Second)
		second := g[0].connect("ann")
		time.Sleep(time.Second)
		third := g[1].connect("bob", "room")
		list := func(q serverapi.ConnectionQuery) string {
			found, err := g[0].Connections(t.Context(), q)
			require.NoError(t, err)
			require.NotNil(t, found)
			names := map[string]string{first.conn.ID(): "first", second.conn.ID(): "second", third.conn.ID(): "third"}
			var out []string
			for _, c := range found {
				out = append(out, names[c.ID])
			}
			return strings.Join(out, " ")
		}
		require.Equal(t, "first second", list(serverapi.ConnectionQuery{User: "ann", Limit: 10}), "the oldest first")
		require.Equal(t, "first", list(serverapi.ConnectionQuery{User: "ann", Limit: 1}))
		require.Equal(t, "first third", list(serverapi.ConnectionQuery{Channel: "room", Limit: 10}))
		require.Equal(t, "first", list(serverapi.ConnectionQuery{Channel: "room", Limit: 1}))
		require.Empty(t, list(serverapi.ConnectionQuery{Channel: "empty", Limit: 1}))
		require.Empty(t, list(serverapi.ConnectionQuery{User: "nobody", Limit: 1}))

		got, err := g[0].Connection(t.Context(), first.conn.ID())
		require.NoError(t, err)
		require.True(t, first.conn.opened.Equal(got.ConnectedAt))
		got.ConnectedAt = time.Time{}
		require.Equal(t, &serverapi.Connection{
			ID:          first.conn.ID(),
			User:        "ann",
			Protocol:    "json",
			RemoteIP:    "192.0.2.1",
			QueuedBytes: 7,
			Channels:    []string{"room", "hall"},
			Node:        "two",
		}, got)
		g[1].killed = true
		require.Equal(t, "second", list(serverapi.ConnectionQuery{User: "ann", Limit: 10}),
			"without those of a gateway that no longer exists")
	})
}

// fakeSubscriber drops all messages.
type fakeSubscriber struct{ hub.Subscriber }

func (fakeSubscriber) Encoder() hub.Encoder      { return nil }
func (fakeSubscriber) Send(transport.Frame) bool { return true }

func TestChannelsCountsSubscribersOfAllGateways(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		for i, name := range []string{"room:1", "room:1", "room:2", "hall:1"} {
			for _, at := range g[i%2:] {
				subscription, err := at.hub.Subscribe(t.Context(), name)
				require.NoError(t, err)
				t.Cleanup(subscription.Release)
				subscription.Attach(fakeSubscriber{}, hub.AttachOptions{}, nil)
			}
		}
		empty, err := g[0].hub.Subscribe(t.Context(), "empty")
		require.NoError(t, err)
		t.Cleanup(empty.Release)
		for pattern, want := range map[string]map[string]int{
			"":       {"room:1": 3, "room:2": 2, "hall:1": 1},
			"*":      {"room:1": 3, "room:2": 2, "hall:1": 1},
			"room:*": {"room:1": 3, "room:2": 2},
			"room:1": {"room:1": 3},
			"none":   {},
		} {
			got, err := g[0].Channels(t.Context(), pattern)
			require.NoError(t, err)
			require.Equal(t, want, got, pattern)
		}
	})
}

func TestGatewaysListsAnnounced(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		g[1].connect("ann")
		g[1].connect("ann")
		time.Sleep(4 * time.Second)
		g[0].broker.mu.Lock()
		g[0].broker.announced["garbage"] = []byte("{")
		g[0].broker.mu.Unlock()
		got, err := g[0].Gateways(t.Context())
		require.NoError(t, err)
		require.Len(t, got, 2)
		require.Equal(t, serverapi.GatewayInfo{UID: g[0].id.String(), Name: "one", Version: "v1", Uptime: 4 * time.Second},
			got[0])
		require.Equal(t,
			serverapi.GatewayInfo{
				UID:     g[1].id.String(),
				Name:    "two",
				Version: "v1",
				Clients: 2,
				Users:   1,
				Uptime:  3 * time.Second,
			},
			got[1], "as announced last")

		require.NoError(t, g[1].Withdraw(t.Context()))
		time.Sleep(10 * time.Second)
		got, err = g[0].Gateways(t.Context())
		require.NoError(t, err)
		require.Len(t, got, 1, "it is not announced again")
	})
}

func TestAnotherServes(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		anotherServes := func(of *gateway, want bool, why string) {
			t.Helper()
			got, err := of.AnotherServes(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got, why)
		}
		anotherServes(g[0], false, "load balancers do not know the other one yet")
		time.Sleep(13 * time.Second)
		anotherServes(g[0], true, "the other one serves")

		g[0].draining.Store(true)
		g[1].draining.Store(true)
		anotherServes(g[0], true, "the other one has not said yet that it drains")
		anotherServes(g[1], false, "the first one has")
		anotherServes(g[0], false, "both have: clients would find neither")

		g[1].draining.Store(false)
		time.Sleep(3 * time.Second)
		anotherServes(g[0], true, "the drain of the other one was undone")
		require.NoError(t, g[1].Withdraw(t.Context()))
		anotherServes(g[0], false, "the other one has ended")
	})
}

// A gateway of an older version does not say that it drains, and one of a newer version says more.
func TestAnotherServesOfAnotherVersion(t *testing.T) {
	fleet(t, "one", func(t *testing.T, g []*gateway) {
		for said, want := range map[string]bool{
			`{"UID":"abc","Uptime":60000000000}`:                                true,
			`{"UID":"abc","Uptime":60000000000,"Draining":false,"Other":"new"}`: true,
			`{"UID":"abc","Uptime":60000000000,"Draining":true}`:                false,
			`{"UID":"abc"}`: false,
			`{`:             false,
		} {
			g[0].broker.mu.Lock()
			g[0].broker.announced["abc"] = []byte(said)
			g[0].broker.mu.Unlock()
			got, err := g[0].AnotherServes(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got, said)
		}
	})
}

func TestDispatcherUsesChannelRules(t *testing.T) {
	fleet(t, "one two", func(t *testing.T, g []*gateway) {
		publish := func(channel string, o serverapi.PublishOptions) broker.PublishResult {
			got, err := g[0].Publish(t.Context(), channel, broker.Publication{Data: []byte("x")}, o)
			require.NoError(t, err)
			return got
		}
		first := publish("kept:a", serverapi.PublishOptions{IdempotencyKey: "k"})
		require.Equal(t, uint64(1), first.Offset)
		require.True(t, publish("kept:a", serverapi.PublishOptions{IdempotencyKey: "k"}).Repeated)
		require.Zero(t, publish("kept:a", serverapi.PublishOptions{SkipHistory: true}).Offset)
		require.Zero(t, publish("open", serverapi.PublishOptions{}).Offset)

		stream, err := g[1].History(t.Context(), "kept:a", broker.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		require.Len(t, stream.Publications, 1)
		_, err = g[1].History(t.Context(), "kept:a", broker.HistoryQuery{Limit: 10, Since: &broker.Position{Epoch: "x"}})
		require.ErrorIs(t, err, broker.ErrUnrecoverable)
		_, err = g[1].History(t.Context(), "open", broker.HistoryQuery{Limit: 10})
		require.ErrorIs(t, err, serverapi.ErrNotAvailable)
		require.ErrorIs(t, g[1].RemoveHistory(t.Context(), "open"), serverapi.ErrNotAvailable)
		require.NoError(t, g[1].RemoveHistory(t.Context(), "kept:a"))
		stream, err = g[0].History(t.Context(), "kept:a", broker.HistoryQuery{Limit: 10})
		require.NoError(t, err)
		require.Empty(t, stream.Publications)
		require.Equal(t, first.Epoch, stream.Top.Epoch)

		_, err = g[0].broker.Join(t.Context(), "seen:a", broker.ClientInfo{Client: "c1", User: "ann"}, time.Minute)
		require.NoError(t, err)
		members, err := g[1].Presence(t.Context(), "seen:a")
		require.NoError(t, err)
		require.Len(t, members, 1)
		clients, users, err := g[1].PresenceStats(t.Context(), "seen:a")
		require.NoError(t, err)
		require.Equal(t, [2]int{1, 1}, [2]int{clients, users})
		_, err = g[1].Presence(t.Context(), "open")
		require.ErrorIs(t, err, serverapi.ErrNotAvailable)
		_, _, err = g[1].PresenceStats(t.Context(), "open")
		require.ErrorIs(t, err, serverapi.ErrNotAvailable)
	})
}
