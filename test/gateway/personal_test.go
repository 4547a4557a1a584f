package gateway_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// withPersonal switches personal channels on, which keep history.
func withPersonal(cfg *config.Config) {
	cfg.PersonalChannels, cfg.JWTKey = true, jwtKey
	history := channel.History{Size: 100, TTL: channel.Duration(time.Minute)}
	cfg.Channels = channel.Rules{{Pattern: "#*", History: history, Recovery: true}}
}

// subscribeCode returns the code with which a client may not subscribe to a channel, and 0 when it may.
func (s *sdk) subscribeCode(channel string) uint32 {
	s.t.Helper()
	reply := s.call(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: channel}})
	if reply.Error != nil {
		return reply.Error.Code
	}
	return 0
}

// A client of a user gets what the backend publishes to the user's personal channel, also what it missed.
func TestPersonalChannelOfCentrifugeClients(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		for name, encoding := range encodings() {
			t.Run(name, func(t *testing.T) {
				user, personal := name+"-42", "#"+name+"-42"
				claims := with(jwt.MapClaims{"sub": user, "channels": []string{"news", personal}})
				c, result := one.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, claims)})
				require.Len(t, result.Subs, 2, "named by the token too, it is one subscription")
				at := result.Subs[personal]
				require.True(t, at.Recoverable)
				require.Equal(t, []string{personal, "news"}, two.channelsOf(t, user))
				two.publishTo(t, personal, "1")
				p := c.push()
				require.Equal(t, personal, p.Channel)
				require.Equal(t, "1", string(p.Pub.Data))
				require.Equal(t, uint32(105), c.subscribeCode(personal), "it is subscribed")

				// Another user may not listen, also where it comes back to a channel that is not its own.
				other, theirs := two.connectWith(t, encoding, &cf.ConnectRequest{
					Token: signed(t, with(jwt.MapClaims{"sub": "other"})),
					Subs:  map[string]*cf.SubscribeRequest{personal: {Recover: true, Epoch: at.Epoch}},
				})
				require.Len(t, theirs.Subs, 1)
				require.Contains(t, theirs.Subs, "#other")
				require.Equal(t, uint32(103), other.subscribeCode(personal))
				require.Equal(t, uint32(103), other.code(&cf.Command{History: &cf.HistoryRequest{Channel: personal}}))
				other.abort()

				// A new token keeps it, and what the old token named ends.
				c.refresh(with(jwt.MapClaims{"sub": user}))
				require.Equal(t, []string{personal}, c.told(personal, "news"))
				two.publishTo(t, personal, "2")
				require.Equal(t, "2", string(c.publication().Data))

				c.abort()
				two.publishTo(t, personal, "3")
				back, result := two.connectWith(t, encoding, &cf.ConnectRequest{
					Token: signed(t, with(jwt.MapClaims{"sub": user})),
					Subs:  map[string]*cf.SubscribeRequest{personal: {Recover: true, Offset: 2, Epoch: at.Epoch}},
				})
				require.True(t, result.Subs[personal].Recovered)
				require.Equal(t, "3:3", datas(result.Subs[personal].Publications))
				back.abort()
				one.awaitMetric(t, 0, "websocket_connections")
			})
		}
	}, withPersonal)
}

// The name of a channel says which users may subscribe.
func TestPersonalChannelsAreUserLimited(t *testing.T) {
	t.Parallel()
	g := start(t, withPersonal, withKey, func(cfg *config.Config) {
		cfg.Channels = append(cfg.Channels, channel.Rule{Pattern: "closed:*", Subscribe: channel.SubscribeToken})
	})
	anonymous := g.connectAnonymous(t)
	userless, result := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, jwt.MapClaims{})})
	require.Empty(t, result.Subs)
	clients := map[string]*sdk{
		"": anonymous, "userless": userless, "42": g.connectAs(t, "42"), "43": g.connectAs(t, "43"), "4": g.connectAs(t, "4"),
	}
	for name, users := range map[string][]string{
		"dialog#42,43":        {"42", "43"},
		"inbox#42":            {"42"},
		"closed:dialog#42,43": {"42", "43"},
		"dialog#":             nil,
		"#":                   nil,
		"$dialog#42,43":       nil,
		"dialog":              {"", "userless", "42", "43", "4"},
	} {
		for user, c := range clients {
			want := uint32(103)
			if slices.Contains(users, user) {
				want = 0
			}
			require.Equal(t, want, c.subscribeCode(name), "%q to %q", user, name)
		}
	}
	g.publishTo(t, "dialog#42,43", `"hello"`)
	for _, name := range []string{"42", "43"} {
		require.Equal(t, `"hello"`, string(clients[name].publication().Data))
	}
	publish := &cf.Command{Publish: &cf.PublishRequest{Channel: "dialog#42,43", Data: []byte("1")}}
	require.Equal(t, uint32(103), clients["4"].code(publish), "only subscribers publish")
	require.NotNil(t, clients["42"].call(publish).Publish)

	token := signed(t, jwt.MapClaims{"sub": "4", "channel": "dialog#42,43"})
	clients["4"].subscribe(&cf.SubscribeRequest{Channel: "dialog#42,43", Token: token})
	capable, _ := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{
		Token: signed(t, with(jwt.MapClaims{"caps": caps("dialog#*", "sub")})),
	})
	capable.subscribeTo("dialog#42,43")
}

// A user whose personal channel would have no valid name, or another owner, connects without one.
func TestPersonalChannelOfOtherUsersIsNotTaken(t *testing.T) {
	t.Parallel()
	g := start(t, withPersonal, withKey)
	for _, name := range []string{"42,43", "a#42"} {
		c, result := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user(name))})
		require.Empty(t, result.Subs, name)
		require.Equal(t, uint32(103), c.subscribeCode("#"+name))
	}
	require.Contains(t, g.log.String(), "a client has no personal channel")
	require.NotContains(t, g.log.String(), "42,43")
}

func TestPersonalChannelCountsAsOneOfTheConnection(t *testing.T) {
	t.Parallel()
	g := start(t, withPersonal, withKey, func(cfg *config.Config) { cfg.MaxChannelsPerConnection = 2 })
	c := g.connectAs(t, "42")
	c.subscribeTo("a")
	require.Equal(t, uint32(106), c.subscribeCode("b"))
	full := g.dialCentrifuge(t, cf.TypeJSON)
	token := signed(t, with(jwt.MapClaims{"channels": []string{"a", "b"}}))
	full.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: token}})
	full.closed(3505, "channel limit")
	_, response, err := g.tryDial(t, "/ws?channel=a&channel=b&token="+signed(t, user("42")))
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}

// A plain client gets the messages of its personal channel too, names no other unless it wants one, and publishes where
// it did before.
func TestPersonalChannelOfPlainClients(t *testing.T) {
	t.Parallel()
	g := start(t, withPersonal, withKey)
	token := signed(t, user("42"))
	alone := g.dial(t, "/ws?token="+token)
	named := g.dial(t, "/ws?channel=lobby&token="+token)
	lobby := g.dial(t, "/ws?channel=lobby")
	g.publishTo(t, "#42", `"for 42"`)
	alone.expect(`"for 42"`)
	named.expect(`"for 42"`)
	named.text("to the lobby")
	named.expect("to the lobby")
	lobby.expect("to the lobby")

	for query, status := range map[string]int{
		"channel=%2342&token=" + signed(t, user("43")):     http.StatusForbidden,
		"channel=a%2342,43&token=" + signed(t, user("44")): http.StatusForbidden,
		"channel=%2342":                     http.StatusForbidden,
		"":                                  http.StatusBadRequest,
		"token=" + signed(t, user("42,43")): http.StatusBadRequest,
	} {
		_, response, err := g.tryDial(t, "/ws?"+query)
		require.Error(t, err, query)
		require.Equal(t, status, response.StatusCode, query)
	}
	dialog := g.dial(t, "/ws?channel=dialog%2342,43&token="+signed(t, user("43")))
	dialog.text("hello")
	dialog.expect("hello")
}

// Without the setting a # is a character like any other.
func TestPersonalChannelsOff(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey)
	c, result := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, user("43"))})
	require.Empty(t, result.Subs)
	for _, name := range []string{"#42", "dialog#42,44", "#"} {
		c.subscribeTo(name)
	}
	_, response, err := g.tryDial(t, "/ws?token="+signed(t, user("42")))
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
}
