package gateway_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	cf "github.com/centrifugal/protocol"
	"github.com/coder/websocket"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/config"
)

const hookSecret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

// backend is the application that gets requests of hooks and of the webhook. It checks the signature of each request.
type backend struct {
	url      string
	verifier *standardwebhooks.Webhook

	mu sync.Mutex
	// answers holds, by hook, the function that makes the answer to a request.
	answers map[string]func(request map[string]any) string
	asked   []map[string]any
	headers []http.Header
	// events gets the events of the webhook.
	events chan map[string]any
	forged int
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	require.NoError(t, err)
	b := &backend{
		verifier: verifier,
		answers:  map[string]func(map[string]any) string{},
		events:   make(chan map[string]any, 1000),
	}
	server := httptest.NewServer(http.HandlerFunc(b.serve))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

func (b *backend) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	hook := strings.TrimPrefix(r.URL.Path, "/")
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil || b.verifier.Verify(body, r.Header) != nil {
		b.forged++
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if hook == "events" {
		var events []map[string]any
		if json.Unmarshal(body, &events) != nil {
			b.forged++
		}
		for _, e := range events {
			b.events <- e
		}
		return
	}
	request := map[string]any{"hook": hook}
	if json.Unmarshal(body, &request) != nil {
		b.forged++
	}
	b.asked, b.headers = append(b.asked, request), append(b.headers, r.Header)
	_, _ = io.WriteString(w, b.answers[hook](request))
}

// answer sets the answer to all requests of a hook.
func (b *backend) answer(hook, answer string) {
	b.decide(hook, func(map[string]any) string { return answer })
}

// decide sets the function that makes the answers to the requests of a hook.
func (b *backend) decide(hook string, answer func(request map[string]any) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers[hook] = answer
}

// last returns the latest request of a hook.
func (b *backend) last(t *testing.T, hook string) map[string]any {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := len(b.asked) - 1; i >= 0; i-- {
		if b.asked[i]["hook"] == hook {
			return b.asked[i]
		}
	}
	require.Fail(t, "the backend was not asked", hook)
	return nil
}

func (b *backend) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.asked)
}

// with configures a gateway to call these hooks, or the webhook with "events".
func (b *backend) with(hooks ...string) func(cfg *config.Config) {
	return func(cfg *config.Config) {
		cfg.HookSecret, cfg.HookTimeout = hookSecret, waitTimeout
		for _, hook := range hooks {
			*map[string]*string{
				"connect":     &cfg.HookConnectURL,
				"subscribe":   &cfg.HookSubscribeURL,
				"publish":     &cfg.HookPublishURL,
				"rpc":         &cfg.HookRPCURL,
				"refresh":     &cfg.HookRefreshURL,
				"sub_refresh": &cfg.HookSubRefreshURL,
				"events":      &cfg.WebhookURL,
			}[hook] = b.url + "/" + hook
		}
	}
}

func TestConnectHook(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withKey, b.with("connect"), func(cfg *config.Config) {
		cfg.Anonymous, cfg.HookForwardHeaders = false, []string{"Cookie"}
	})
	expiry := time.Now().Add(time.Hour).Unix()
	b.answer("connect", `{"result":{"user":"ann","info":{"n":1},"data":{"motd":"hi"},"channels":["kept:given"],`+
		`"caps":[{"channels":["read-only:*"],"match":"wildcard","allow":["pub"]}],"expire_at":`+fmt.Sprint(expiry)+`}}`)
	c := &sdk{
		client: g.dial(t, path,
			&websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"session=of-ann"}, "User-Agent": {"a test"}}}),
		encoding: cf.TypeJSON,
	}
	result := c.call(&cf.Command{
		Connect: &cf.ConnectRequest{
			Name:    "js",
			Version: "1.2",
			Data:    []byte(`{"room":1}`),
			Subs:    map[string]*cf.SubscribeRequest{"b": {}, "a": {}},
		},
	}).Connect
	require.JSONEq(t, `{"motd":"hi"}`, string(result.Data))
	require.Contains(t, result.Subs, "kept:given")
	require.False(t, result.Expires, "a client without a token cannot refresh it")
	asked := b.last(t, "connect")
	require.Equal(t, result.Client, asked["client"])
	require.Equal(t, map[string]any{"room": 1.0}, asked["data"])
	require.Equal(t, []any{"a", "b"}, asked["channels"])
	require.Equal(t, "js", asked["name"])
	headers := asked["headers"].(map[string]any)
	require.Equal(t, "session=of-ann", headers["Cookie"])
	require.Equal(t, "a test", headers["User-Agent"])
	require.NotNil(t, c.call(&cf.Command{Publish: &cf.PublishRequest{Channel: "read-only:a", Data: []byte(`1`)}}).Publish,
		"the backend allowed it")
	require.Contains(t, g.callAPI(t, "connections", `{"user":"ann"}`).body, result.Client)

	// Web pages cannot set headers, so they send them in the connect command.
	b.answer("connect", `{"result":{"user":"bob"}}`)
	g.connectWith(t, cf.TypeProtobuf,
		&cf.ConnectRequest{Headers: map[string]string{"cookie": "session=of-bob"}, Data: []byte("\x00\xff")})
	asked = b.last(t, "connect")
	require.Equal(t, "session=of-bob", asked["headers"].(map[string]any)["Cookie"])
	require.Equal(t, "AP8=", asked["b64data"])
	require.Equal(t, "protobuf", asked["protocol"])

	plain := g.dial(t, "/ws?channel=x", &websocket.DialOptions{HTTPHeader: http.Header{"Cookie": {"session=plain"}}})
	require.Equal(t, []any{"x"}, b.last(t, "connect")["channels"])
	require.Equal(t, "plain", b.last(t, "connect")["protocol"])
	plain.text("hi")
	plain.expect("hi")

	for name, answer := range map[string]struct {
		text   string
		code   uint32
		closed int
		status int
	}{
		"nobody":        {`{"result":{}}`, 101, 0, 401},
		"an error":      {`{"error":{"code":451,"message":"not in your country"}}`, 451, 0, 403},
		"a disconnect":  {`{"disconnect":{"code":4501,"reason":"banned"}}`, 0, 4501, 403},
		"nonsense":      {`hello`, 100, 0, 503},
		"a bad channel": {`{"result":{"user":"ann","channels":["bad\u0000"]}}`, 0, 3500, 400},
	} {
		t.Run(name, func(t *testing.T) {
			b.answer("connect", answer.text)
			c := g.dialCentrifuge(t, cf.TypeJSON)
			c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{}})
			if answer.closed != 0 {
				c.closed(answer.closed, "")
			} else {
				require.Equal(t, answer.code, c.reply().Error.Code)
			}
			_, response, err := g.tryDial(t, "/ws?channel=a")
			require.Error(t, err)
			require.Equal(t, answer.status, response.StatusCode)
		})
	}
	require.Zero(t, b.forged)
	for _, secret := range []string{"of-ann", "of-bob", hookSecret, "MDEyMzQ1", "motd"} {
		require.NotContains(t, g.log.String(), secret)
	}
}

// What backends made for Centrifugo answer to connect: channels with what belongs to each, and what only they see.
func TestConnectHookWithSubsAndMeta(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withKey, b.with("connect", "subscribe", "publish", "rpc", "refresh"))
	b.answer("connect", `{"result":{"user":"ann","meta":{"tenant":7},"b64info":"ewogIm4iOiAxCn0=",`+
		`"expire_at":`+inSeconds(1)+`,"subs":{"seen:a":{"info":{"role":
			"host"},"data":{"motd":
			"hi"}},"seen:b":{"b64data":"AP8="},"seen:c":null}}}`)
	b.answer("refresh", `{"result":{"meta":{"tenant":8},"expire_at":`+inSeconds(100)+`}}`)
	for _, hook := range []string{"subscribe", "publish", "rpc"} {
		b.answer(hook, `{"result":{}}`)
	}
	for name, encoding := range encodings() {
		t.Run(name, func(t *testing.T) {
			c, result := g.connectWith(t, encoding, &cf.ConnectRequest{})
			require.Len(t, result.Subs, 3)
			require.JSONEq(t, `{"motd":"hi"}`, string(result.Subs["seen:a"].Data))
			require.Equal(t, map[cf.Type]string{cf.TypeJSON: `"AP8="`, cf.TypeProtobuf: "\x00\xff"}[encoding],
				string(result.Subs["seen:b"].Data))
			require.Empty(t, result.Subs["seen:c"].Data)
			member := c.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: "seen:a"}}).Presence.Presence[result.Client]
			require.JSONEq(t, `{"n":1}`, string(member.ConnInfo))
			require.JSONEq(t, `{"role":"host"}`, string(member.ChanInfo))
			member = c.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: "seen:b"}}).Presence.Presence[result.Client]
			require.Empty(t, member.ChanInfo)

			c.subscribeTo("own")
			require.NotNil(t, c.call(&cf.Command{Publish: &cf.PublishRequest{Channel: "own", Data: []byte("1")}}).Publish)
			require.NotNil(t, c.call(&cf.Command{Rpc: &cf.RPCRequest{Method: "m"}}).Rpc)
			for _, hook := range []string{"subscribe", "publish"} {
				require.Contains(t, []any{7.0, 8.0}, b.last(t, hook)["meta"].(map[string]any)["tenant"], hook)
			}
			require.Nil(t, b.last(t, "connect")["meta"])
			require.Eventually(t, func() bool {
				c.call(&cf.Command{Rpc: &cf.RPCRequest{Method: "m"}})
				return b.last(t, "rpc")["meta"].(map[string]any)["tenant"] == 8.0
			}, waitTimeout, 10*time.Millisecond, "the refresh hook has replaced it")
			c.abort()
		})
	}
	plain := g.dial(t, "/ws?channel=seen:d", nil)
	g.publishTo(t, "seen:c", `"to all"`)
	plain.expect(`"to all"`)
	require.NotContains(t, g.log.String(), "does nothing")
}

// A message that the backend keeps out of history reaches the subscribers, and has no offset.
func TestPublishHookSkipsHistory(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, b.with("publish"))
	b.decide("publish", func(request map[string]any) string {
		return fmt.Sprintf(`{"result":{"skip_history":%v}}`, request["data"] == "typing")
	})
	c := g.connectAnonymous(t)
	c.subscribeTo("kept:skipped")
	for i, text := range []string{`"one"`, `"typing"`, `"two"`} {
		reply := c.call(&cf.Command{Publish: &cf.PublishRequest{Channel: "kept:skipped", Data: []byte(text)}})
		require.NotNil(t, reply.Publish)
		p := c.publication()
		require.Equal(t, text, string(p.Data))
		require.Equal(t, []uint64{1, 0, 2}[i], p.Offset)
	}
	history := c.call(&cf.Command{History: &cf.HistoryRequest{Channel: "kept:skipped", Limit: -1}}).History
	require.Len(t, history.Publications, 2)
	require.EqualValues(t, 2, history.Offset)
}

// Headers of the handshake, which a proxy may have set, win over those of the connect command.
func TestConnectHookGetsHeadersOfTheCommand(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.answer("connect", `{"result":{"user":"ann"}}`)
	g := start(t, b.with("connect"), func(cfg *config.Config) {
		cfg.HookForwardHeaders, cfg.AllowedOrigins = []string{"X-User", "X-Added",
			"Cookie"}, []string{"https://app.example.com"}
	})
	said := map[string]string{
		"x-user":     "admin",
		"X-USER":     "admin",
		"origin":     "https://app.example.com",
		"Origin":     "https://evil.example.com",
		"x-added":    "by-the-page",
		"user-agent": "by-the-page",
		"x-more":     "more",
	}
	for name, c := range map[string]struct {
		handshake http.Header
		want      map[string]any
	}{
		"all there": {
			http.Header{
				"X-User":     {"by-the-proxy"},
				"Origin":     {"https://app.example.com"},
				"User-Agent": {"a browser"},
				"Cookie":     {"a=b"},
			},
			map[string]any{
				"X-User":     "by-the-proxy",
				"Origin":     "https://app.example.com",
				"User-Agent": "a browser",
				"X-Added":    "by-the-page",
				"Cookie":     "a=b",
			},
		},
		"as little as can be": {
			http.Header{"User-Agent": {"a program"}},
			map[string]any{"X-User": "admin", "User-Agent": "a program", "X-Added": "by-the-page"},
		},
		"twice": {
			http.Header{"X-User": {"one", "two"}, "User-Agent": {"a program"}},
			map[string]any{"X-User": "one, two", "User-Agent": "a program", "X-Added": "by-the-page"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c2 := &sdk{client: g.dial(t, path, &websocket.DialOptions{HTTPHeader: c.handshake}), encoding: cf.TypeJSON}
			require.NotNil(t, c2.call(&cf.Command{Connect: &cf.ConnectRequest{Headers: said}}).Connect)
			require.Equal(t, c.want, b.last(t, "connect")["headers"])
		})
	}
}

// The expiry that the backend has set holds, whatever tokens the client sends later.
func TestConnectHookLimitsTheSession(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withTokens, b.with("connect", "subscribe"))
	end := `{"result":{"expire_at":` + fmt.Sprint(time.Now().Add(30*time.Minute).Unix()) + `}}`
	b.answer("connect", end)
	b.answer("subscribe", end)
	token := func(d time.Duration, channel string) string {
		claims := user("ann")
		claims["exp"] = time.Now().Add(d).Unix()
		if channel != "" {
			claims["channel"] = channel
		}
		return signed(t, claims)
	}
	in := func(d time.Duration, expires bool, ttl uint32) {
		t.Helper()
		require.True(t, expires)
		require.InDelta(t, d.Seconds(), ttl, 10)
	}
	c, connected := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: token(time.Hour, "")})
	in(30*time.Minute, connected.Expires, connected.Ttl)
	subscribed := c.subscribe(&cf.SubscribeRequest{Channel: "closed:a", Token: token(time.Hour, "closed:a")})
	in(30*time.Minute, subscribed.Expires, subscribed.Ttl)
	for _, d := range []struct{ token, want time.Duration }{{2 * time.Hour, 30 * time.Minute},
		{10 * time.Minute, 10 * time.Minute}, {time.Hour, 30 * time.Minute}} {
		refreshed := c.call(&cf.Command{Refresh: &cf.RefreshRequest{Token: token(d.token, "")}}).Refresh
		in(d.want, refreshed.Expires, refreshed.Ttl)
		renewed := c.call(&cf.Command{
			SubRefresh: &cf.SubRefreshRequest{Channel: "closed:a", Token: token(d.token, "closed:a")},
		}).SubRefresh
		in(d.want, renewed.Expires, renewed.Ttl)
	}
	short, connected := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: token(10*time.Minute, "")})
	in(10*time.Minute, connected.Expires, connected.Ttl)
	subscribed = short.subscribe(&cf.SubscribeRequest{Channel: "closed:a", Token: token(10*time.Minute, "closed:a")})
	in(10*time.Minute, subscribed.Expires, subscribed.Ttl)
}

// The time until a client's connect command ends with the command: a hook that takes longer has its own.
func TestConnectHookOutlastsTheConnectTimeout(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, b.with("connect"), func(cfg *config.Config) { cfg.ConnectTimeout = 200 * time.Millisecond })
	for name, answer := range map[string]string{
		"accepts": `{"result":{"user":"ann"}}`,
		"refuses": `{"error":{"code":403,"message":"not yours"}}`,
	} {
		asked, answered := make(chan struct{}, 1), make(chan struct{})
		b.decide("connect", func(map[string]any) string {
			asked <- struct{}{}
			<-answered
			return answer
		})
		c := g.dialCentrifuge(t, cf.TypeJSON)
		c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{}})
		<-asked
		g.dialCentrifuge(t, cf.TypeJSON).closed(3502, "stale")
		close(answered)
		if name == "accepts" {
			require.NotNil(t, c.reply().Connect)
			c.quiet()
			continue
		}
		require.Equal(t, uint32(403), c.reply().Error.Code)
		c.closed(3502, "stale")
	}
}

// A client without a token comes back at the end that a hook has set, so that the hook is asked again. It is not told
// of the end before: an SDK that has nothing to refresh would give up.
func TestHooksEndClientsWithoutTokens(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withTokens, b.with("connect", "subscribe"))
	soon := func() string {
		return `{"result":{"expire_at":` + fmt.Sprint(time.Now().Add(2*time.Second).Unix()) + `}}`
	}
	b.answer("connect", `{"result":{"user":"ann"}}`)
	b.answer("subscribe", soon())
	c, connected := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{})
	require.False(t, connected.Expires)
	subscribed := c.subscribe(&cf.SubscribeRequest{Channel: "open"})
	require.False(t, subscribed.Expires)
	require.Zero(t, subscribed.Ttl)
	require.Equal(t, uint32(2501), c.unsubscribed("open"))

	b.answer("connect", soon())
	for name, encoding := range encodings() {
		c, connected := g.connectWith(t, encoding, &cf.ConnectRequest{})
		require.False(t, connected.Expires, name)
		require.Zero(t, connected.Ttl, name)
		c.closed(3005, "connection expired")
	}
}

// inSeconds returns a time as hooks answer it.
func inSeconds(n int) string {
	return fmt.Sprint(time.Now().Add(time.Duration(n) * time.Second).Unix())
}

// A client whose time is over stays, or does not, as the backend says. The client is told no time.
func TestRefreshHook(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		code   int
		plain  int
	}{
		"expired":     {`{"result":{"expired":true}}`, 3005, 1008},
		"in the past": {`{"result":{"expire_at":1}}`, 3005, 1008},
		"refused":     {`{"error":{"code":403,"message":"no"}}`, 3005, 1008},
		"disconnect":  {`{"disconnect":{"code":4501,"reason":"banned"}}`, 4501, 4501},
		"for ever":    {`{"result":{}}`, 0, 0},
		"down":        {`nonsense`, 0, 0},
		"wrong type":  {`{"result":{"expire_at":"soon"}}`, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			g := start(t, withRules, withTokens, b.with("connect", "refresh"))
			b.decide("connect", func(map[string]any) string {
				return `{"result":{"user":"ann","expire_at":` + inSeconds(2) + `}}`
			})
			extended := false
			b.decide("refresh", func(request map[string]any) string {
				if request["protocol"] == "json" && !extended {
					extended = true
					return `{"result":{"expire_at":` + inSeconds(2) + `,"info":{"again":true}}}`
				}
				return c.answer
			})
			s, connected := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{})
			require.False(t, connected.Expires)
			plain := g.dial(t, "/ws?channel=a")
			ended := func(c *client, code int, reason string) {
				if code == 0 {
					g.awaitMetric(t, 3, "websocket_hook_calls_total", "hook", "refresh")
					g.awaitMetric(t, 2, "websocket_connections")
					return
				}
				c.closed(code, reason)
			}
			ended(plain, c.plain, "")
			ended(s.client, c.code, "")
			asked := b.last(t, "refresh")
			require.Equal(t, "ann", asked["user"])
			require.Equal(t, connected.Client, asked["client"])
			require.Zero(t, b.forged)
		})
	}
}

// A client with a token is asked about too, and need not bring another.
func TestRefreshHookOfAClientWithAToken(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withTokens, withKey, b.with("refresh"))
	b.answer("refresh", `{"result":{"info":{"level":2}}}`)
	claims := user("ann")
	claims["exp"] = time.Now().Add(2 * time.Second).Unix()
	s, connected := g.connectWith(t, cf.TypeJSON, &cf.ConnectRequest{Token: signed(t, claims)})
	require.False(t, connected.Expires)
	g.awaitMetric(t, 1, "websocket_hook_calls_total", "hook", "refresh", "outcome", "ok")
	s.subscribe(&cf.SubscribeRequest{Channel: "seen:a", JoinLeave: true})
	require.JSONEq(t, `{"level":2}`, string(s.push().Join.Info.ConnInfo), "what the backend says of it now")
}

// The same for subscriptions.
func TestSubRefreshHook(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		code   uint32
		closed int
		calls  float64
	}{
		"expired":    {`{"result":{"expired":true}}`, 2501, 0, 2},
		"refused":    {`{"error":{"code":403,"message":"no"}}`, 2501, 0, 2},
		"disconnect": {`{"disconnect":{"code":4501,"reason":"banned"}}`, 0, 4501, 2},
		"for ever":   {`{"result":{}}`, 0, 0, 2},
		"down":       {`{"error":{"code":100,"message":"later","temporary":true}}`, 0, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			g := start(t, withRules, b.with("subscribe", "sub_refresh"))
			b.decide("subscribe", func(map[string]any) string {
				return `{"result":{"expire_at":` + inSeconds(2) + `}}`
			})
			extended := false
			b.decide("sub_refresh", func(map[string]any) string {
				if !extended {
					extended = true
					return `{"result":{"expire_at":` + inSeconds(2) + `}}`
				}
				return c.answer
			})
			s := g.connectAnonymous(t)
			require.False(t, s.subscribeTo("open").Expires)
			switch {
			case c.code != 0:
				require.Equal(t, c.code, s.unsubscribed("open"))
			case c.closed != 0:
				s.closed(c.closed, "banned")
			default:
				g.awaitMetric(t, c.calls, "websocket_hook_calls_total", "hook", "sub_refresh")
				s.quiet()
			}
			require.Equal(t, "open", b.last(t, "sub_refresh")["channel"])
		})
	}
}

func TestSubscribeHook(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withKey, withTokens, b.with("subscribe"))
	b.decide("subscribe", func(request map[string]any) string {
		switch request["channel"] {
		case "private":
			return `{"error":{"code":403,"message":"not yours"}}`
		case "trap":
			return `{"disconnect":{"code":4001,"reason":"go away"}}`
		}
		return `{"result":{"info":{"seat":3},"data":{"topic":"tea"}}}`
	})
	c := g.connectAs(t, "ann")
	got := c.subscribe(&cf.SubscribeRequest{Channel: "seen:a", Data: []byte(`{"since":5}`)})
	require.JSONEq(t, `{"topic":"tea"}`, string(got.Data))
	require.Equal(t, map[string]any{"since": 5.0}, b.last(t, "subscribe")["data"])
	require.Equal(t, "ann", b.last(t, "subscribe")["user"])
	for _, member := range c.call(&cf.Command{Presence: &cf.PresenceRequest{Channel: "seen:a"}}).Presence.Presence {
		require.JSONEq(t, `{"seat":3}`, string(member.ChanInfo))
	}
	reply := c.call(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: "private"}})
	require.Equal(t, "not yours", reply.Error.Message)

	// Plain clients name their channels in the handshake. The gateway calls the hook during the handshake.
	g.dial(t, "/ws?channel=seen:a&token="+signed(t, user("bob")))
	require.Equal(t, "bob", b.last(t, "subscribe")["user"])
	for channel, says := range map[string]string{"private": "not yours", "trap": "go away"} {
		_, response, err := g.tryDial(t, "/ws?channel="+channel+"&token="+signed(t, user("bob")))
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, response.StatusCode)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.Contains(t, string(body), says)
	}
	asked := b.count()
	claims := user("bob")
	claims["channels"] = []string{"private"}
	g.dial(t, "/ws?token="+signed(t, claims))
	require.Equal(t, asked, b.count(), "what the token brings is the server's wish")

	c.write(&cf.Command{Id: 99, Subscribe: &cf.SubscribeRequest{Channel: "trap"}})
	c.closed(4001, "go away")
	require.Zero(t, b.forged)
}

// A backend may end a subscription before it has answered the hook that asks about it. The client sees itself
// unsubscribed by the server, and its command is answered with an error after which SDKs do not subscribe again.
func TestSubscribeHookThatUnsubscribesBeforeItsAnswer(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withRules, withKey, withTokens, b.with("subscribe"))
	unsubscribe := true
	b.decide("subscribe", func(request map[string]any) string {
		if unsubscribe {
			body := fmt.Sprintf(`{"client":%q,"channel":%q}`, request["client"], request["channel"])
			g.callAPI(t, "unsubscribe", body)
			g.callAPI(t, "unsubscribe", body)
		}
		return `{"result":{}}`
	})
	for name, encoding := range encodings() {
		c, _ := g.connectWith(t, encoding, &cf.ConnectRequest{Token: signed(t, user("ann"))})
		for _, channel := range []string{"seen:a", "kept:a", "plain"} {
			unsubscribe = true
			reply := c.call(&cf.Command{Subscribe: &cf.SubscribeRequest{Channel: channel}})
			require.NotNil(t, reply.Error, name)
			require.Equal(t, uint32(103), reply.Error.Code, name)
			require.False(t, reply.Error.Temporary, name)
			require.Equal(t, "the server ended the subscription before it began", reply.Error.Message, name)
			require.Equal(t, uint32(2000), c.unsubscribed(channel), name)
			c.quiet()
			unsubscribe = false
			c.subscribeTo(channel)
		}
	}
}

func TestPublishHook(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withKey, b.with("publish"))
	b.decide("publish", func(request map[string]any) string {
		switch request["data"] {
		case "curse":
			return `{"result":{"data":"c***e"}}`
		case "spam":
			return `{"error":{"code":403,"message":"no spam"}}`
		case "flood":
			return `{"disconnect":{"code":4002,"reason":"enough"}}`
		}
		return `{"result":{}}`
	})
	c, plain := g.connectAnonymous(t), g.dial(t, "/ws?channel=a")
	c.subscribeTo("a")
	publish := func(text string) *cf.Command {
		return &cf.Command{Publish: &cf.PublishRequest{Channel: "a", Data: []byte(text)}}
	}
	for sent, want := range map[string]string{`"hello"`: `"hello"`, `"curse"`: `"c***e"`} {
		require.NotNil(t, c.call(publish(sent)).Publish)
		require.Equal(t, want, string(c.publication().Data))
		plain.expect(want)
		plain.text(sent)
		plain.expect(want)
		require.Equal(t, want, string(c.publication().Data))
	}
	plain.text("no JSON")
	plain.expect("no JSON")
	require.NotNil(t, c.publication())
	reply := c.call(publish(`"spam"`))
	require.Equal(t, uint32(403), reply.Error.Code)
	once := c.call(&cf.Command{
		Rpc: &cf.RPCRequest{Method: "wsfleet.publish", Data: []byte(`{"channel":"a","data":"curse","idempotency_key":"k"}`)},
	})
	require.NotNil(t, once.Rpc, "%v", once.Error)
	require.Equal(t, `"c***e"`, string(c.publication().Data))
	plain.expect(`"c***e"`)
	g.publishTo(t, "a", `"spam"`)
	require.Equal(t, `"spam"`, string(c.publication().Data), "backends may")
	plain.expect(`"spam"`)

	plain.text(`"spam"`)
	plain.closed(1008, "not allowed")
	flooding := g.dial(t, "/ws?channel=a")
	flooding.text(`"flood"`)
	flooding.closed(4002, "enough")
	c.write(publish(`"flood"`))
	c.closed(3501, "")
	other := g.connectAnonymous(t)
	other.subscribeTo("a")
	flood := publish(`"flood"`)
	flood.Id = 99
	other.write(flood)
	other.closed(4002, "enough")
	require.Zero(t, b.forged)
}

// A publish that is repeated with its idempotency key is published once, though the backend changes the data each time.
func TestPublishHookWithIdempotencyKey(t *testing.T) {
	t.Parallel()
	b, n := newBackend(t), 0
	b.decide("publish", func(map[string]any) string { n++; return fmt.Sprintf(`{"result":{"data":{"n":%d}}}`, n) })
	onEveryBroker(t, func(t *testing.T, one, two *testGateway) {
		first, second := one.connectAnonymous(t), two.connectAnonymous(t)
		first.subscribeTo("kept:a")
		second.subscribeTo("kept:a")
		publish := func(data string) *cf.Command {
			return &cf.Command{
				Rpc: &cf.RPCRequest{
					Method: "wsfleet.publish",
					Data:   []byte(`{"channel":"kept:a","data":` + data + `,"idempotency_key":"k"}`),
				},
			}
		}
		type result struct {
			Offset   uint64
			Epoch    string
			Repeated bool
		}
		var said, again result
		require.NoError(t, json.Unmarshal(first.call(publish("1")).Rpc.Data, &said))
		require.False(t, said.Repeated)
		published := string(first.publication().Data)
		require.Equal(t, published, string(second.publication().Data))
		for _, c := range []*sdk{first, second} {
			require.NoError(t, json.Unmarshal(c.call(publish("1")).Rpc.Data, &again))
			require.Equal(t, result{said.Offset, said.Epoch, true}, again)
			require.Equal(t, uint32(107), c.code(publish("2")))
			c.quiet()
		}
		for _, c := range []*sdk{first, second} {
			require.Equal(t, "1:"+published,
				datas(c.call(&cf.Command{History: &cf.HistoryRequest{Channel: "kept:a", Limit: -1}}).History.Publications))
		}
	}, withRules, b.with("publish"))
}

func TestRPCHook(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withTokens, b.with("rpc"))
	b.decide("rpc", func(request map[string]any) string {
		switch request["method"] {
		case "bytes":
			return `{"result":{"b64data":"AP8="}}`
		case "fail":
			return `{"error":{"code":1999,"message":"it failed","temporary":true}}`
		case "end":
			return `{"disconnect":{"code":4003,"reason":"over"}}`
		}
		return `{"result":{"data":{"id":17}}}`
	})
	c := g.connectAs(t, "ann")
	call := func(method string) *cf.Command {
		return &cf.Command{Rpc: &cf.RPCRequest{Method: method, Data: []byte(`{"x":1}`)}}
	}
	require.JSONEq(t, `{"id":17}`, string(c.call(call("anything")).Rpc.Data))
	require.Equal(t, "ann", b.last(t, "rpc")["user"])
	require.Equal(t, `"AP8="`, string(c.call(call("bytes")).Rpc.Data))
	failed := c.call(call("fail")).Error
	require.Equal(t, cf.Error{Code: 1999, Message: "it failed", Temporary: true},
		cf.Error{Code: failed.Code, Message: failed.Message, Temporary: failed.Temporary})
	c.write(&cf.Command{Send: &cf.SendRequest{Data: []byte(`{"seen":4}`)}}, &cf.Command{Id: 98, Ping: &cf.PingRequest{}})
	require.Equal(t, uint32(98), c.reply().Id, "a message has no answer")
	g.awaitMetric(t, 4, "websocket_hook_calls_total", "hook", "rpc")
	require.Equal(t, map[string]any{"seen": 4.0}, b.last(t, "rpc")["data"])
	require.Empty(t, b.last(t, "rpc")["method"])

	protobuf, _ := g.connectWith(t, cf.TypeProtobuf, &cf.ConnectRequest{Token: signed(t, user("ann"))})
	require.Equal(t, "\x00\xff", string(protobuf.call(call("bytes")).Rpc.Data))
	end := call("end")
	end.Id = 99
	c.write(end)
	c.closed(4003, "over")
	require.Zero(t, b.forged)
}

// The webhook gets signed events of connections and channels. A channel is occupied and vacated once in the whole
// fleet.
func TestWebhookGetsEvents(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	s := redistest.Standalone(t, "")
	change := []func(*config.Config){onRedis(s, ""), withTokens, withRules, b.with("events")}
	one, two := start(t, change...), start(t, change...)
	for _, g := range []*testGateway{one, two} {
		g.awaitMetric(t, 1, "websocket_broker_state", "state", "ready")
	}
	next := func() string {
		select {
		case e := <-b.events:
			data := e["data"].(map[string]any)
			return strings.TrimSpace(fmt.Sprint(strings.TrimPrefix(e["type"].(string), "dev.wsfleet."), " ",
				or(data["user"], data["channel"]), " ", or(data["code"], "")))
		case <-time.After(waitTimeout):
			require.Fail(t, "no event")
			return ""
		}
	}
	ann := one.connectAs(t, "ann")
	require.Equal(t, "connection.opened ann", next())
	ann.subscribeTo("room")
	require.Equal(t, "channel.occupied room", next())
	bob := two.dial(t, "/ws?channel=room&token="+signed(t, user("bob")))
	require.Equal(t, "connection.opened bob", next(), "the channel was occupied already")
	two.callAPI(t, "disconnect", `{"user":"ann"}`)
	ann.closed(3503, "")
	require.Equal(t, "connection.closed ann 3503", next(), "the channel is still occupied")

	// A client that is refused causes no event.
	refused := one.dialCentrifuge(t, cf.TypeJSON)
	refused.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: "forged"}})
	refused.closed(3500, "")
	claims := user("eve")
	claims["channels"] = []string{"1", "2", "3"}
	half := one.dialCentrifuge(t, cf.TypeJSON)
	half.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: signed(t, claims)}})
	require.NotNil(t, half.reply().Connect)
	half.abort()
	var seen []string
	for range 8 {
		seen = append(seen, next())
	}
	require.ElementsMatch(t, []string{"connection.opened eve", "connection.closed eve 1006", "channel.occupied 1",
		"channel.occupied 2", "channel.occupied 3", "channel.vacated 1", "channel.vacated 2", "channel.vacated 3",
	}, seen)

	require.NoError(t, bob.Close(websocket.StatusNormalClosure, ""))
	require.Equal(t, "connection.closed bob 1000", next())
	require.Equal(t, "channel.vacated room", next())
	require.Zero(t, b.forged)
	one.awaitMetric(t, 0, "websocket_webhook_queue")
}

func or(a, b any) any {
	if a == nil {
		return b
	}
	return a
}

// A gateway that ends sends events for all its connections and channels.
func TestWebhookGetsEventsOfAGatewayThatEnds(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, quickDrain, b.with("events"))
	c := g.connectAnonymous(t)
	c.subscribeTo("room")
	g.Terminate("SIGTERM", false)
	c.closed(3001, "shutdown")
	g.ended(t)
	var kinds []string
	for range 4 {
		kinds = append(kinds, (<-b.events)["type"].(string))
	}
	require.ElementsMatch(t,
		[]string{"dev.wsfleet.connection.opened", "dev.wsfleet.channel.occupied", "dev.wsfleet.connection.closed",
			"dev.wsfleet.channel.vacated"},
		kinds)
}

// A connection that fails after the hook accepted it causes both events of its channel and leaves nothing behind.
func TestWebhookOfAConnectThatFails(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	g := start(t, withTokens, withRules, b.with("events"), func(cfg *config.Config) { cfg.MaxChannelsPerConnection = 2 })
	claims := user("ann")
	claims["channels"] = []string{"seen:1", "seen:2", "seen:3"}
	c := g.dialCentrifuge(t, cf.TypeJSON)
	c.write(&cf.Command{Id: 1, Connect: &cf.ConnectRequest{Token: signed(t, claims)}})
	c.closed(3505, "channel limit")
	var kinds []string
	for range 6 {
		kinds = append(kinds, (<-b.events)["type"].(string))
	}
	require.ElementsMatch(t, []string{"dev.wsfleet.connection.opened", "dev.wsfleet.connection.closed",
		"dev.wsfleet.channel.occupied", "dev.wsfleet.channel.vacated", "dev.wsfleet.channel.occupied",
		"dev.wsfleet.channel.vacated",
	}, kinds)
	g.awaitMetric(t, 0, "websocket_channels")
	g.awaitMetric(t, 0, "websocket_users")
}
