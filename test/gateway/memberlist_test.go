package gateway_test

import (
	"slices"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

// memberList is a subscriber that keeps the members of a channel in a map by client, as joins and leaves tell it.
type memberList struct {
	*sdk
	// members are the users of the members by client.
	members map[string]string
	// joined are all clients whose join has come.
	joined map[string]bool
}

// memberList returns an observer of a channel that has heard of itself.
func (r *testGateway) memberList(t *testing.T, channel string) *memberList {
	t.Helper()
	o := &memberList{sdk: r.connectAs(t, "observer"), members: map[string]string{}, joined: map[string]bool{}}
	o.subscribe(&cf.SubscribeRequest{Channel: channel, JoinLeave: true})
	o.until(func() bool { return len(o.members) == 1 })
	return o
}

// until reads joins and leaves until a condition holds. Each join must be of a client that is not in the map, and each
// leave of one that is.
func (o *memberList) until(holds func() bool) {
	o.t.Helper()
	for !holds() {
		p := o.push()
		if p.Join != nil {
			require.NotContains(o.t, o.members, p.Join.Info.Client)
			o.members[p.Join.Info.Client], o.joined[p.Join.Info.Client] = p.Join.Info.User, true
			continue
		}
		require.NotNil(o.t, p.Leave, "%v", p)
		require.Contains(o.t, o.members, p.Leave.Info.Client)
		delete(o.members, p.Leave.Info.Client)
	}
}

// has waits until the map has these clients and the observer, and no others.
func (o *memberList) has(clients ...string) {
	o.t.Helper()
	o.until(func() bool {
		return len(o.members) == 1+len(clients) && !slices.ContainsFunc(clients, func(c string) bool { return !o.joined[c] })
	})
	for _, c := range clients {
		require.Contains(o.t, o.members, c)
	}
}

// member returns a client of a user that is subscribed to a channel.
func (r *testGateway) member(t *testing.T, name, channel string) (*sdk, string) {
	t.Helper()
	c, result := r.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user(name))})
	c.subscribeTo(channel)
	return c, result.Client
}

// lose breaks a connection, and waits until its gateway has noticed.
func (r *testGateway) lose(t *testing.T, c *sdk) {
	t.Helper()
	before := r.metric(t, "websocket_connections")
	c.abort()
	r.awaitMetric(t, before-1, "websocket_connections")
}

// Lists that observers keep by client hold the members and no others, however these come and go.
func TestPresenceListsHaveNoGhosts(t *testing.T) {
	grace := func(cfg *config.Config) { cfg.PresenceGrace = 2 * time.Second }
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		t.Run("a silent comeback", func(t *testing.T) {
			const channel = "seen:comeback"
			o := one.memberList(t, channel)
			first, id := two.member(t, "u", channel)
			o.has(id)
			two.lose(t, first)
			again, id := one.member(t, "u", channel)
			o.has(id)
			require.NotNil(t, again.call(&cf.Command{Unsubscribe: &cf.UnsubscribeRequest{Channel: channel}}).Unsubscribe)
			o.has()
		})
		t.Run("a page that is loaded again and again", func(t *testing.T) {
			const channel = "seen:reload"
			o := one.memberList(t, channel)
			page, id := two.member(t, "u", channel)
			for range 3 {
				two.lose(t, page)
				page, id = two.member(t, "u", channel)
			}
			o.has(id)
			two.lose(t, page)
			o.has()
		})
		t.Run("two tabs, one is closed, a third is opened", func(t *testing.T) {
			const channel = "seen:tabs"
			o := two.memberList(t, channel)
			tab1, id1 := one.member(t, "u", channel)
			tab2, id2 := two.member(t, "u", channel)
			o.has(id1, id2)
			two.lose(t, tab2)
			tab3, id3 := one.member(t, "u", channel)
			o.has(id1, id3)
			one.lose(t, tab1)
			one.lose(t, tab3)
			o.has()
		})
		t.Run("a client that subscribes again", func(t *testing.T) {
			const channel = "seen:again"
			o := one.memberList(t, channel)
			c, id := two.member(t, "u", channel)
			for range 20 {
				c.write(&cf.Command{Id: 1, Unsubscribe: &cf.UnsubscribeRequest{Channel: channel}},
					&cf.Command{Id: 2, Subscribe: &cf.SubscribeRequest{Channel: channel}})
				c.reply()
				require.Nil(t, c.reply().Error)
			}
			two.lose(t, c)
			_, other := one.member(t, "u", channel)
			o.has(other)
			require.NotContains(t, o.members, id)
		})
		t.Run("clients without a user", func(t *testing.T) {
			const channel = "seen:anonymous"
			o := one.memberList(t, channel)
			for range 3 {
				c, id := two.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user(""))})
				c.subscribeTo(channel)
				o.has(id.Client)
				c.abort()
				o.has()
			}
		})
	}, withRules, withTokens, grace)
}

// Observers hear of a comeback at once, and before the grace is over.
func TestPresenceTellsOfAComebackAtOnce(t *testing.T) {
	grace := func(cfg *config.Config) { cfg.PresenceGrace = time.Minute - time.Second }
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		o := one.memberList(t, "seen:a")
		first, before := two.member(t, "u", "seen:a")
		o.has(before)
		two.lose(t, first)
		require.Eventually(t, func() bool {
			// The client is told apart from one with two tabs once its gateway has told the broker.
			again, id := one.member(t, "u", "seen:a")
			defer again.call(&cf.Command{Unsubscribe: &cf.UnsubscribeRequest{Channel: "seen:a"}})
			o.until(func() bool { return o.joined[id] })
			return o.members[before] == ""
		}, waitTimeout, tick)
	}, withRules, withTokens, grace)
}
