package gateway_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// tokens returns a valid token and invalid ones, by what is wrong with them.
func tokens(t *testing.T) map[string]string {
	t.Helper()
	now := time.Now()
	none, err := jwt.NewWithClaims(jwt.SigningMethodNone, user("ann")).SignedString(jwt.UnsafeAllowNoneSignatureType)
	require.NoError(t, err)
	forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256,
		user("ann")).SignedString([]byte("another key of thirty-two bytes.."))
	require.NoError(t, err)
	good := signed(t, user("ann"))
	return map[string]string{
		"good":      good,
		"forged":    forged,
		"unsigned":  none,
		"cut off":   good[:len(good)-2],
		"no token":  "hello",
		"oversized": strings.Repeat("x", 17<<10),
		"expired":   signed(t, jwt.MapClaims{"sub": "ann", "exp": now.Add(-time.Minute).Unix()}),
		"future":    signed(t, jwt.MapClaims{"sub": "ann", "nbf": now.Add(time.Hour).Unix()}),
		"other use": signed(t, jwt.MapClaims{"sub": "ann", "channel": "a"}),
		"much info": signed(t, jwt.MapClaims{"sub": "ann", "info": strings.Repeat("x", auth.MaxInfo)}),
		"bad caps": signed(t,
			jwt.MapClaims{"sub": "ann", "caps": []any{map[string]any{"channels": []string{"a"}, "allow": []string{"fly"}}}}),
	}
}

func TestTokensOfCentrifugeClients(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens)
	all := tokens(t)
	for name, token := range all {
		t.Run(name, func(t *testing.T) {
			c := g.dialCentrifuge(t, cf.TypeProtobuf)
			c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: token}})
			switch name {
			case "good":
				got := c.next().Connect
				require.True(t, got.Expires)
				require.InDelta(t, time.Hour.Seconds(), got.Ttl, 10)
			case "expired":
				// After this code SDKs get another token and connect again.
				require.Equal(t, uint32(109), c.next().Error.Code)
			default:
				c.closed(3500, "invalid token")
			}
		})
	}
	anonymous := g.dialCentrifuge(t, cf.TypeJSON)
	require.Equal(t, uint32(101), anonymous.code(&cf.Command{Connect: &cf.ConnectRequest{}}), "no token")
	require.NotNil(t, anonymous.call(&cf.Command{Connect: &cf.ConnectRequest{Token: signed(t, user("ann"))}}).Connect,
		"it may try again")
	g.awaitMetric(t, float64(len(all)-2), "websocket_closed_total", "protocol", "centrifuge", "code", "3500")
	g.awaitMetric(t, 1, "websocket_command_errors_total", "code", "109")
	// The client with an expired token gets another one, and the anonymous one was refused before.
	require.InDelta(t, len(all)-2+1, *g.Report().RejectRate*60, 1e-6)
	for name, token := range all {
		require.NotContains(t, g.log.String(), token, name)
		require.NotContains(t, g.admin(t, http.MethodGet, "/metrics").body, token, name)
	}
}

// A token may also come with the handshake. The token of the connect command wins.
func TestTokensOfHandshakes(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens)
	good, other := signed(t, user("ann")), signed(t, user("bob"))
	dial := func(query string, header http.Header) *sdk {
		return &sdk{client: g.dial(t, path+query, &websocket.DialOptions{HTTPHeader: header}), encoding: cf.TypeJSON}
	}
	bearer := http.Header{"Authorization": {"Bearer " + good}}
	for name, c := range map[string]*sdk{
		"header": dial("", bearer), "query": dial("?token="+good, nil), "both": dial("?token="+good, bearer),
	} {
		require.NotNil(t, c.call(&cf.Command{Connect: &cf.ConnectRequest{}}).Connect, name)
	}
	g.awaitMetric(t, 1, "websocket_users")
	require.NotNil(t, dial("", bearer).call(&cf.Command{Connect: &cf.ConnectRequest{Token: other}}).Connect)
	g.awaitMetric(t, 2, "websocket_users")
	_, response, err := g.tryDial(t, path+"?token="+other, &websocket.DialOptions{HTTPHeader: bearer})
	require.Error(t, err)
	require.Equal(t, http.StatusBadRequest, response.StatusCode)
	for _, secret := range []string{good, other, "token=", "Bearer"} {
		require.NotContains(t, g.log.String(), secret)
	}
}

func TestTokensOfPlainClients(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withRules)
	for name, token := range tokens(t) {
		for way, try := range map[string]func() (*client, *http.Response, error){
			"header": func() (*client, *http.Response, error) {
				return g.tryDial(t, "/ws?channel=a",
					&websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
			},
			"query": func() (*client, *http.Response, error) {
				return g.tryDial(t, "/ws?channel=a&token="+url.QueryEscape(token))
			},
		} {
			t.Run(name+" in the "+way, func(t *testing.T) {
				c, response, err := try()
				switch name {
				case "good":
					require.NoError(t, err)
					c.text("hello")
					c.expect("hello")
				case "oversized":
					require.Error(t, err, "more than a handshake may have")
				default:
					require.Error(t, err)
					require.Equal(t, http.StatusUnauthorized, response.StatusCode)
				}
			})
		}
	}
	for query, status := range map[string]int{
		"channel=a":                 http.StatusUnauthorized,
		"channel=a&token=":          http.StatusBadRequest,
		"channel=a&token=x&token=y": http.StatusBadRequest,
		"channel=closed:a&token=" + signed(t, user("ann")):           http.StatusForbidden,
		"channel=a&channel=b&token=x":                                http.StatusUnauthorized,
		"token=" + signed(t, user("ann")):                            http.StatusBadRequest,
		"channel=a&publish=closed:b&token=" + signed(t, user("ann")): http.StatusBadRequest,
	} {
		_, response, err := g.tryDial(t, "/ws?"+query)
		require.Error(t, err, query)
		require.Equal(t, status, response.StatusCode, query)
	}
	claims := user("ann")
	claims["channels"] = []string{"closed:a", "closed:b"}
	given := g.dial(t, "/ws?publish=closed:b&token="+signed(t, claims))
	given.text("to b")
	given.expect("to b")
	both := g.dial(t, "/ws?channel=open&token="+signed(t, claims))
	both.text("where to?")
	both.closed(1008, "?publish=NAME")

	readOnly := g.dial(t, "/ws?channel=read-only:a&token="+signed(t, user("ann")))
	readOnly.text("hello")
	readOnly.closed(1008, "publishing to this channel is not allowed")
	for name, token := range tokens(t) {
		require.NotContains(t, g.log.String(), token, name)
	}
	require.NotContains(t, g.log.String(), "token=")
}

func TestTokensEndPlainConnections(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens)
	claims := user("ann")
	claims["exp"] = time.Now().Add(2 * time.Second).Unix()
	c := g.dial(t, "/ws?channel=a&token="+signed(t, claims))
	c.closed(1008, "token expired")
}

func TestTokensAreRefreshed(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey)
	for name, encoding := range encodings() {
		t.Run(name, func(t *testing.T) {
			c, _ := g.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, user("ann"))})
			got := c.call(&cf.Command{Refresh: &cf.RefreshRequest{Token: signed(t, user("ann"))}})
			require.NotNil(t, got.Refresh, "%v", got.Error)
			require.True(t, got.Refresh.Expires)
			require.InDelta(t, time.Hour.Seconds(), got.Refresh.Ttl, 10)
			endless := user("ann")
			delete(endless, "exp")
			require.False(t, c.call(&cf.Command{Refresh: &cf.RefreshRequest{Token: signed(t, endless)}}).Refresh.Expires)
			c.write(&cf.Command{Id: 99, Refresh: &cf.RefreshRequest{Token: signed(t, user("bob"))}})
			c.closed(3500, "invalid token")
		})
	}
	late := g.connectAs(t, "ann")
	late.write(&cf.Command{Id: 99, Refresh: &cf.RefreshRequest{Token: tokens(t)["expired"]}})
	late.closed(3005, "connection expired")
	forged := g.connectAs(t, "ann")
	forged.write(&cf.Command{Id: 99, Refresh: &cf.RefreshRequest{Token: tokens(t)["forged"]}})
	forged.closed(3500, "invalid token")
	empty := g.connectAs(t, "ann")
	empty.write(&cf.Command{Id: 99, Refresh: &cf.RefreshRequest{}})
	empty.closed(3501, "bad request")
}

func TestTokensOfSubscriptions(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withRules)
	subToken := func(claims jwt.MapClaims) string {
		all := jwt.MapClaims{"sub": "ann", "channel": "closed:a"}
		for name, value := range claims {
			all[name] = value
		}
		return signed(t, all)
	}
	c := g.connectAs(t, "ann")
	subscribe := func(token string) *cf.Command {
		return &cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "closed:a", Token: token}}
	}
	for name, token := range map[string]string{
		"none":              "",
		"forged":            tokens(t)["forged"],
		"a connection's":    signed(t, user("ann")),
		"another user's":    subToken(jwt.MapClaims{"sub": "bob"}),
		"another channel's": subToken(jwt.MapClaims{"channel": "closed:b"}),
		"oversized":         strings.Repeat("x", 17<<10),
	} {
		require.Equal(t, uint32(103), c.code(subscribe(token)), name)
	}
	past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Hour).Unix()
	require.Equal(t, uint32(109), c.code(subscribe(subToken(jwt.MapClaims{"exp": past}))))
	got := c.subscribe(&cf.SubscribeRequest{
		Channel: "closed:a",
		Token:   subToken(jwt.MapClaims{"exp": future, "allow": []string{"pub"}}),
	})
	require.True(t, got.Expires)
	require.InDelta(t, time.Hour.Seconds(), got.Ttl, 10)

	refresh := func(channel, token string) *cf.Command {
		return &cf.Command{SubRefresh: &cf.SubRefreshRequest{Channel: channel, Token: token}}
	}
	renewed := c.call(refresh("closed:a", subToken(jwt.MapClaims{"exp": future})))
	require.NotNil(t, renewed.SubRefresh, "%v", renewed.Error)
	require.True(t, renewed.SubRefresh.Expires)
	require.False(t, c.call(refresh("closed:a", subToken(nil))).SubRefresh.Expires)
	require.Equal(t, uint32(103), c.code(refresh("closed:a", "forged")))
	require.Equal(t, uint32(103), c.code(refresh("closed:b", subToken(nil))), "not subscribed")
	expired := refresh("closed:a", subToken(jwt.MapClaims{"exp": past}))
	expired.Id = 98
	c.write(expired)
	require.Equal(t, uint32(2501), c.unsubscribed("closed:a"), "before the answer, after which an SDK would give up")
	require.Equal(t, uint32(109), c.reply().Error.Code)
	require.NotNil(t, c.subscribe(&cf.SubscribeRequest{Channel: "closed:a", Token: subToken(nil)}))
	require.Equal(t, uint32(108),
		c.code(&cf.Command{SubRefresh: &cf.SubRefreshRequest{Channel: "closed:a", Token: "x", Type: 1}}))
	c.write(&cf.Command{Id: 99, SubRefresh: &cf.SubRefreshRequest{Channel: "closed:a"}})
	c.closed(3501, "bad request")
}

// The capabilities of a token are added to the permissions of the channels' rules.
func TestTokensWithCapabilities(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withRules, withKey)
	claims := user("ann")
	claims["caps"] = []any{
		map[string]any{"channels": []string{"closed:*", "read-only:*"}, "allow": []string{"sub", "pub"}},
		map[string]any{"channels": []string{"kept:*"}, "allow": []string{"hst"}}}
	ann, _ := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, claims)})
	bob := g.connectAs(t, "bob")
	publish := func(channel string) *cf.Command {
		return &cf.Command{Publish: &cf.PublishRequest{Channel: channel, Data: []byte(`1`)}}
	}
	bob.subscribeTo("read-only:a")
	require.Equal(t, uint32(103), bob.code(publish("read-only:a")))
	require.Equal(t, uint32(103), bob.code(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "closed:a"}}))
	require.Equal(t, uint32(103), bob.code(&cf.Command{History: &cf.HistoryRequest{Channel: "kept:a"}}))
	require.NotNil(t, ann.call(publish("read-only:a")).Publish)
	require.Equal(t, "ann", bob.publication().Info.User)
	ann.subscribeTo("closed:a")
	require.NotNil(t, ann.call(&cf.Command{History: &cf.HistoryRequest{Channel: "kept:a"}}).History)
	require.Equal(t, uint32(103), ann.code(publish("open")))
}

// perUser sets a limit of connections per user, and the policy above it.
func perUser(limit int, policy string) func(cfg *config.Config) {
	return func(cfg *config.Config) {
		cfg.MaxConnectionsPerUser, cfg.ConnectionsPerUserPolicy = limit, policy
	}
}

// tooMany asserts that a Centrifuge and a plain client of a user are refused, so that they come back.
func (r *testGateway) tooMany(t *testing.T, name string) {
	t.Helper()
	token := signed(t, user(name))
	c := r.dialCentrifuge(t, cf.TypeJSON)
	c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: token}})
	c.closed(4009, "connection limit")
	_, response, err := r.tryDial(t, "/ws?channel=a&token="+token)
	require.Error(t, err)
	require.Equal(t, http.StatusTooManyRequests, response.StatusCode)
	require.NotEmpty(t, response.Header.Get("Retry-After"))
}

func TestTokensLimitConnectionsPerUser(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, perUser(2, contract.PerUserRefuse))
	first := g.connectAs(t, "ann")
	second := g.dial(t, "/ws?channel=a&token="+signed(t, user("ann")))
	g.tooMany(t, "ann")
	g.awaitMetric(t, 1, "websocket_refused_total", "reason", "per_user")
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "4009")
	g.connectAs(t, "bob")
	first.quiet()
	first.abort()
	g.awaitMetric(t, 2, "websocket_connections")
	g.connectAs(t, "ann")
	second.text("still here")
	second.expect("still here")
}

// The oldest connection makes room, which may be of a client that is gone. Its SDK stays away, if it is not.
func TestTokensLimitClosesTheOldestConnectionOfAUser(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, perUser(2, contract.PerUserCloseOldest))
	bob := g.connectAs(t, "bob")
	first := g.connectAs(t, "ann")
	plain := g.dial(t, "/ws?channel=a&token="+signed(t, user("ann")))
	third := g.connectAs(t, "ann")
	first.closed(3504, "connection limit")
	g.awaitMetric(t, 1, "websocket_closed_total", "code", "3504")

	// Plain clients come back after every close, so that a new one keeps its place for a while.
	g.tooMany(t, "ann")
	plain.text("still here")
	plain.expect("still here")
	require.NoError(t, plain.CloseNow())
	g.awaitMetric(t, 2, "websocket_connections")
	fourth := g.connectAs(t, "ann")
	fifth := g.connectAs(t, "ann")
	third.closed(3504, "connection limit")
	for _, c := range []*sdk{bob, fourth, fifth} {
		c.quiet()
	}
}

// A client that has gone silent answers no close frame either. It counts no more all the same.
func TestTokensLimitForgetsSilentConnections(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withKey, perUser(1, contract.PerUserCloseOldest))
	silent := g.dialTCP(t, "/connection/websocket")
	command := `{"id":1,"connect":{"token":"` + signed(t, user("ann")) + `"}}`
	silent.write("\x81\xfe" + string([]byte{byte(len(command) >> 8), byte(len(command))}) + "\x00\x00\x00\x00" + command)
	g.awaitMetric(t, 1, "websocket_users")
	for range 3 {
		g.connectAs(t, "ann").subscribeTo("a")
	}
	require.Equal(t, 1, strings.Count(g.callAPI(t, "connections", `{"user":"ann"}`).body, `"node"`))
	g.awaitMetric(t, 1, "websocket_connections")
}

// A gateway counts its own connections: those to other gateways take no place.
func TestTokensLimitConnectionsPerGateway(t *testing.T) {
	for _, policy := range []string{contract.PerUserCloseOldest, contract.PerUserRefuse} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			_, one, two := twoOnRedis(t, withTokens, perUser(1, policy))
			there := one.connectAs(t, "ann")
			here := two.connectAs(t, "ann")
			there.quiet()
			here.quiet()
			here.abort()
			two.awaitMetric(t, 0, "websocket_connections")
			two.connectAs(t, "ann").quiet()
			there.quiet()
		})
	}
}

// A revocation also applies to subscription tokens.
func TestTokensOfSubscriptionsAreRevoked(t *testing.T) {
	t.Parallel()
	g := start(t, withTokens, withRules, withKey)
	claims := user("ann")
	claims["channel"] = "closed:a"
	before := signed(t, claims)
	g.connectAs(t, "ann").subscribe(&cf.SubscribeRequest{Channel: "closed:a", Token: before})
	g.callAPI(t, "disconnect", `{"user":"ann","revoke":true}`)
	later := user("ann")
	later["iat"] = time.Now().Add(2 * time.Second).Unix()
	c, _ := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, later)})
	subscribe := func(token string) *cf.Command {
		return &cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "closed:a", Token: token}}
	}
	require.Equal(t, uint32(103), c.code(subscribe(before)))
	later["channel"] = "closed:a"
	after := signed(t, later)
	require.NotNil(t, c.call(subscribe(after)).Subscribe)
	refresh := func(token string) *cf.Command {
		return &cf.Command{SubRefresh: &cf.SubRefreshRequest{Channel: "closed:a", Token: token}}
	}
	require.Equal(t, uint32(103), c.code(refresh(before)))
	require.NotNil(t, c.call(refresh(after)).SubRefresh)
}

// A revocation finds all connections that have such a token, also those whose hook has not answered yet.
func TestTokensAreRevokedDuringAHook(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withTokens, withRules, withKey, b.with("connect"))
	asked, revoked := make(chan struct{}), make(chan struct{})
	b.decide("connect", func(map[string]any) string {
		asked <- struct{}{}
		<-revoked
		return `{"result":{}}`
	})
	revoke := func(user string) {
		t.Helper()
		<-asked
		g.callAPI(t, "disconnect", `{"user":"`+user+`","revoke":true}`)
		revoked <- struct{}{}
	}
	claims := user("ann")
	claims["channels"] = []string{"seen:a"}
	c := g.dialCentrifuge(t, cf.TypeJSON)
	c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: signed(t, claims)}})
	revoke("ann")
	c.closed(3500, "invalid token")

	// A plain client is connected as soon as the registry lists it.
	dialled, bob := make(chan *client, 1), signed(t, user("bob"))
	go func() {
		defer close(dialled)
		if c, _, err := g.tryDial(t, "/ws?channel=seen:a&token="+bob); err == nil {
			dialled <- c
		}
	}()
	revoke("bob")
	plain := <-dialled
	require.NotNil(t, plain)
	plain.closed(1008, "the token was revoked")
	for _, name := range []string{"websocket_connections", "websocket_users", "websocket_channels"} {
		g.awaitMetric(t, 0, name)
	}
}
