package gateway_test

import (
	"encoding/json"
	"slices"
	"testing"

	cf "github.com/centrifugal/protocol"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
)

// with returns the claims of ann's token with other claims added.
func with(more jwt.MapClaims) jwt.MapClaims {
	claims := user("ann")
	for name, value := range more {
		claims[name] = value
	}
	return claims
}

// caps is a claim that allows something in the channels of a pattern.
func caps(pattern, allow string) []map[string]any {
	return []map[string]any{{"channels": []string{pattern}, "allow": []string{allow}}}
}

// refresh exchanges the connection's token.
func (s *sdk) refresh(claims jwt.MapClaims) {
	s.t.Helper()
	reply := s.call(&cf.Command{Refresh: &cf.RefreshRequest{Token: signed(s.t, claims)}})
	require.NotNil(s.t, reply.Refresh, "%v", reply.Error)
}

// told applies the pushes that have come to the channels that the client knows of, and returns these sorted.
func (s *sdk) told(channels ...string) []string {
	s.t.Helper()
	require.NotNil(s.t, s.call(&cf.Command{Ping: &cf.PingRequest{}}).Ping)
	for _, p := range s.pushes {
		switch {
		case p.Subscribe != nil:
			require.NotContains(s.t, channels, p.Channel)
			channels = append(channels, p.Channel)
		case p.Unsubscribe != nil:
			require.Equal(s.t, uint32(2000), p.Unsubscribe.Code, "SDKs stay unsubscribed")
			require.Contains(s.t, channels, p.Channel)
			channels = slices.DeleteFunc(channels, func(c string) bool { return c == p.Channel })
		}
	}
	s.pushes = nil
	slices.Sort(channels)
	return channels
}

// channelsOf returns the channels of the only connection of a user.
func (r *testGateway) channelsOf(t *testing.T, name string) []string {
	t.Helper()
	var listed struct {
		Result struct{ Connections []struct{ Channels []string } }
	}
	require.NoError(t, json.Unmarshal([]byte(r.callAPI(t, "connections", `{"user":"`+name+`"}`).body), &listed))
	require.Len(t, listed.Result.Connections, 1)
	return listed.Result.Connections[0].Channels
}

// The channels that a new token names are the client's from then on, and no others.
func TestRefreshChangesTheChannelsOfTheToken(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				g1, g2, g3 := "grp:1"+name, "grp:2"+name, "kept:3"+name
				claims := with(jwt.MapClaims{"channels": []string{g1, g2}})
				c, _ := one.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, claims)})
				c.refresh(with(jwt.MapClaims{"channels": []string{g2, g3}}))
				ended := c.push()
				require.NotNil(t, ended.Unsubscribe, "%v", ended)
				require.Equal(t, g1, ended.Channel)
				begun := c.push()
				require.NotNil(t, begun.Subscribe, "%v", begun)
				require.Equal(t, g3, begun.Channel)
				require.True(t, begun.Subscribe.Recoverable)

				for _, channel := range []string{g1, g2, g3} {
					two.publishTo(t, channel, `"`+channel+`"`)
				}
				got := []string{string(c.publication().Data), string(c.publication().Data)}
				slices.Sort(got)
				require.Equal(t, []string{`"` + g2 + `"`, `"` + g3 + `"`}, got)
				c.quiet()

				c.refresh(user("ann"))
				require.Empty(t, c.told(g2, g3))
				c.refresh(with(jwt.MapClaims{"channels": []string{g1}}))
				require.Equal(t, []string{g1}, c.told())
				require.Equal(t, []string{g1}, two.channelsOf(t, "ann"))
				c.abort()
				one.awaitMetric(t, 0, "websocket_connections")
			})
		}
	}, withRules, withTokens)
}

// What only a permission of the old token allowed ends. What something else allows goes on.
func TestRefreshEndsWhatIsNotAllowedAnyMore(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		claims := with(jwt.MapClaims{"caps": caps("closed:*", "sub"), "channels": []string{"closed:named"}})
		c, result := one.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, claims)})
		for _, channel := range []string{"closed:9", "open", "seen:a"} {
			c.subscribeTo(channel)
		}
		c.subscribe(&cf.SubscribeRequest{
			Channel: "closed:own",
			Token:   signed(t, jwt.MapClaims{"sub": "ann", "channel": "closed:own"}),
		})
		two.callAPI(t, "subscribe", `{"client":"`+result.Client+`","channel":"closed:backend"}`)
		all := []string{"closed:9", "closed:backend", "closed:named", "closed:own", "open", "seen:a"}
		require.Equal(t, all, c.told("closed:9", "closed:named", "closed:own", "open", "seen:a"))
		c.refresh(claims)
		require.Equal(t, all, c.told(all...), "the same permissions change nothing")

		c.refresh(user("ann"))
		left := []string{"closed:backend", "closed:own", "open", "seen:a"}
		require.Equal(t, left, c.told(all...))
		require.Equal(t, left, two.channelsOf(t, "ann"))
		require.Equal(t, uint32(103), c.code(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "closed:9"}}))
		two.publishTo(t, "closed:9", "1")
		two.publishTo(t, "closed:own", "2")
		require.Equal(t, "2", string(c.publication().Data))

		// The server API sets a time, and changes no permission.
		two.callAPI(t, "refresh", `{"user":"ann","expire_at":0}`)
		require.NotNil(t, c.push().Refresh)
		require.Equal(t, left, two.channelsOf(t, "ann"))
	}, withRules, withTokens)
}

// The server API changes what others see of a client, and tells it something with a subscription.
func TestServerAPIRefreshesInfoAndSubscribesWithData(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				channel := "seen:" + name
				c, result := one.connectWith(t, encoding, &cf.ConnectRequest{
					Token: signed(t, with(jwt.MapClaims{"info": map[string]any{"name": "Ann"}})),
				})
				other := two.connectAs(t, "bob")
				other.subscribeTo(channel)
				two.callAPI(t, "subscribe", `{"client":"`+result.Client+`","channel":"`+channel+`","data":{"x":1}}`)
				begun := c.push()
				require.NotNil(t, begun.Subscribe, "%v", begun)
				require.JSONEq(t, `{"x":1}`, string(begun.Subscribe.Data))

				two.callAPI(t, "refresh", `{"client":"`+result.Client+`","info":{"name":"Eve"}}`)
				for c.push().Refresh == nil {
				}
				members := other.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: channel}}).Presence.Presence
				require.JSONEq(t, `{"name":"Eve"}`, string(members[result.Client].ConnInfo))
				require.NotNil(t, c.call(&cf.Command{Publish: &cf.PublishRequest{Channel: channel, Data: []byte("1")}}).Publish)
				require.JSONEq(t, `{"name":"Eve"}`, string(other.publication().Info.ConnInfo))

				two.callAPI(t, "subscribe", `{"client":"`+result.Client+`","channel":"raw:`+name+`","b64data":"AP8="}`)
				for begun = c.push(); begun.Subscribe == nil; begun = c.push() {
				}
				want := map[cf.Type]string{cf.TypeJSON: `"AP8="`, cf.TypeProtobuf: "\x00\xff"}[encoding]
				require.Equal(t, want, string(begun.Subscribe.Data))
				c.abort()
				other.abort()
			})
		}
	}, withRules, withTokens)
}

// What a token says about its channels reaches the client and other clients, and a new token replaces it.
func TestTokenSaysWhatBelongsToItsChannels(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				channel, later := "seen:1"+name, "seen:2"+name
				claims := func(info, channelInfo string, channels ...string) jwt.MapClaims {
					subs := map[string]any{}
					for _, c := range channels {
						subs[c] = map[string]any{"info": channelInfo, "data": map[string]string{"of": c}}
					}
					return with(jwt.MapClaims{"info": info, "subs": subs})
				}
				c, result := one.connectWith(t, encoding,
					&cf.ConnectRequest{Token: signed(t, claims("Ann", "host", channel))})
				require.JSONEq(t, `{"of":"`+channel+`"}`, string(result.Subs[channel].Data))
				other := two.connectAs(t, "bob")
				other.subscribeTo(channel)
				other.subscribeTo(later)
				shown := func(channel string) [2]string {
					members := other.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: channel}}).Presence.Presence
					member := members[result.Client]
					require.NotNil(t, member)
					return [2]string{string(member.ConnInfo), string(member.ChanInfo)}
				}
				require.Equal(t, [2]string{`"Ann"`, `"host"`}, shown(channel))

				c.refresh(claims("Ann", "guest", channel, later))
				begun := c.push()
				for ; begun.Subscribe == nil; begun = c.push() {
				}
				require.JSONEq(t, `{"of":"`+later+`"}`, string(begun.Subscribe.Data))
				require.Equal(t, [2]string{`"Ann"`, `"guest"`}, shown(channel))
				require.Equal(t, [2]string{`"Ann"`, `"guest"`}, shown(later))

				c.refresh(claims("Eve", "guest", channel, later))
				require.Equal(t, [2]string{`"Eve"`, `"guest"`}, shown(channel))
				c.refresh(with(jwt.MapClaims{"channels": []string{channel, later}}))
				require.Equal(t, [2]string{"", ""}, shown(later))
				require.NotNil(t, c.call(&cf.Command{Publish: &cf.PublishRequest{Channel: channel, Data: []byte("1")}}).Publish)
				require.Empty(t, other.publication().Info.ChanInfo)
				c.abort()
				other.abort()
			})
		}
	}, withRules, withTokens)
}

// Refreshes that come together leave the client with what it was told, which is what one of the tokens says.
func TestRefreshTwiceAtOnce(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		c, _ := one.connectWith(t, cf.TypeJSON,
			&cf.ConnectRequest{Token: signed(t, with(jwt.MapClaims{"channels": []string{"a"}}))})
		known := []string{"a"}
		for range 20 {
			sets := [][]string{{"b", "c"}, {"c", "d"}}
			var commands []*cf.Command
			for i, channels := range sets {
				token := signed(t, with(jwt.MapClaims{"channels": channels}))
				commands = append(commands, &cf.Command{Id: uint32(100 + i), Refresh: &cf.RefreshRequest{Token: token}})
			}
			c.write(commands...)
			for range commands {
				require.NotNil(t, c.reply().Refresh)
			}
			known = c.told(known...)
			require.Contains(t, sets, known)
			require.Equal(t, known, two.channelsOf(t, "ann"))
			c.refresh(with(jwt.MapClaims{"channels": []string{"a", "c"}}))
			known = c.told(known...)
			require.Equal(t, []string{"a", "c"}, known)
		}
	}, withTokens)
}

// A token that names more than the connection has room for sends the client away, so that it comes back with these
// first.
func TestRefreshWithMoreChannelsThanThereIsRoomFor(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, func(cfg *config.Config) { cfg.MaxChannelsPerConnection = 3 })
	c := g.connectAs(t, "ann")
	c.subscribeTo("own:1")
	c.subscribeTo("own:2")
	more := signed(t, with(jwt.MapClaims{"channels": []string{"a", "b", "c"}}))
	c.write(&cf.Command{Id: 99, Refresh: &cf.RefreshRequest{Token: more}})
	c.closed(3010, "insufficient state")
	back, result := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: more})
	require.Len(t, result.Subs, 3)
	require.Equal(t, uint32(106), back.code(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "own:1"}}))
}

// A gateway that drains takes new tokens as before. What they begin ends with the connection.
func TestRefreshWhileDraining(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, quickDrain)
	token := signed(t, with(jwt.MapClaims{"channels": []string{"a"}}))
	c, _ := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: token})
	g.Terminate("SIGTERM", false)
	c.refresh(with(jwt.MapClaims{"channels": []string{"b"}}))
	require.Equal(t, []string{"b"}, c.told("a"))
	c.closed(3001, "shutdown")
	g.ended(t)
}
