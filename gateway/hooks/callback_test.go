package hooks

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

var alice = Client{ID: "c1", User: "alice", Protocol: "json"}

func jsonPayload(s string) Payload { return Payload{Bytes: []byte(s)} }

func TestCallbackSendsRequestsOfCentrifugo(t *testing.T) {
	b, url := listen(t, text(`{"result":{}}`))
	o := allCallbacks(Callback{URL: url})
	o.ForwardHeaders = []string{"cookie"}
	h, _, _ := newHooks(t, o)
	ctx := t.Context()

	for name, test := range map[string]struct {
		call func() error
		want string
	}{
		"connect": {func() error {
			_, err := h.Connect(ctx,
				ConnectRequest{
					Client:   alice,
					Name:     "js",
					Version:  "1.2",
					Data:     jsonPayload(`{"a":"<b>"}`),
					Channels: []string{"news"},
					Header: http.Header{
						"Origin":        {"https://a.example"},
						"User-Agent":    {"browser"},
						"Cookie":        {"a=1", "b=2"},
						"Authorization": {"Bearer x"},
					},
				})
			return err
		},
			`{"client":"c1","transport":"websocket","protocol":"json","encoding":"json","user":"alice",` +
				`"data":{"a":"<b>"},"name":"js","version":"1.2","channels":["news"],` +
				`"headers":{"Cookie":"a=1; b=2","Origin":"https://a.example","User-Agent":"browser"}}`},
		"connect without a user": {func() error {
			_, err := h.Connect(ctx, ConnectRequest{Client: Client{ID: "c2", Protocol: "plain"}})
			return err
		}, `{"client":"c2","transport":"websocket","protocol":"plain","encoding":"json"}`},
		"subscribe": {func() error {
			_, err := h.Subscribe(ctx, SubscribeRequest{Client: alice, Channel: "news", Data: jsonPayload(`1`)})
			return err
		},
			`{"client":"c1","transport":"websocket","protocol":"json","encoding":"json","user":"alice",` +
				`"data":1,"channel":"news"}`},
		"publish": {func() error {
			_, err := h.Publish(ctx, PublishRequest{Client: alice, Channel: "news", Data: jsonPayload(`"hi"`)})
			return err
		},
			`{"client":"c1","transport":"websocket","protocol":"json","encoding":"json","user":"alice",` +
				`"data":"hi","channel":"news"}`},
		"publish of a text that is not JSON": {func() error {
			_, err := h.Publish(ctx, PublishRequest{Client: alice, Channel: "news", Data: jsonPayload(`hi`)})
			return err
		},
			`{"client":"c1","transport":"websocket","protocol":"json","encoding":"binary","user":"alice",` +
				`"b64data":"aGk=","channel":"news"}`},
		"publish of JSON that is not UTF-8": {func() error {
			_, err := h.Publish(ctx, PublishRequest{Client: alice, Channel: "news", Data: jsonPayload("\"\xff\"")})
			return err
		},
			`{"client":"c1","transport":"websocket","protocol":"json","encoding":"binary","user":"alice",` +
				`"b64data":"Iv8i","channel":"news"}`},
		"rpc with bytes": {func() error {
			_, err := h.RPC(ctx,
				RPCRequest{
					Client: Client{ID: "c1", Protocol: "protobuf"},
					Method: "add",
					Data:   Payload{Bytes: []byte(`12`), Binary: true},
				})
			return err
		},
			`{"client":"c1","transport":"websocket","protocol":"protobuf","encoding":"binary","b64data":"MTI=","method":"add"}`},
	} {
		require.NoError(t, test.call(), name)
		got := b.got()
		last := got[len(got)-1]
		require.Equal(t, test.want, last.body, name)
		require.Equal(t, "application/json", last.header.Get("Content-Type"))
		require.Empty(t, last.header.Get("Authorization"), "it is not in ForwardHeaders")
		require.Empty(t, last.header.Get("Idempotency-Key"))
		if name == "connect" {
			require.Equal(t, "a=1; b=2", last.header.Get("Cookie"), "where existing backends look")
			require.Equal(t, "browser", last.header.Get("User-Agent"))
		}
	}
}

// A client must not be able to make its own question fail, where failure lets it in.
func TestPickHeadersLeavesOutInvalidValues(t *testing.T) {
	b, url := listen(t, text(`{"error":{"code":403}}`))
	h, _, _ := newHooks(t, Options{Connect: Callback{URL: url, WhenDown: Allow}})
	for _, value := range []string{"a\x00b", "a\r\nb", "\xff"} {
		_, err := h.Connect(t.Context(), ConnectRequest{Client: alice, Header: http.Header{"Origin": {value}}})
		require.Equal(t, &Error{Code: 403}, err)
	}
	require.NotContains(t, b.got()[0].body, "headers")
}

func TestCallbackDecodesResults(t *testing.T) {
	b, url := listen(t, text(`{}`))
	h, s, _ := newHooks(t, allCallbacks(Callback{URL: url}))
	ctx := t.Context()

	b.respondWith(
		text(
			`{"result":{"user":"bob","expire_at":1700000000,"info":{"name":"Bob"},"data":[1],"channels":["a","b"],` +
				`"caps":[{"channels":["a*"],"match":"wildcard","allow":["sub","pub"]}],"subs":{}}}`))
	connected, err := h.Connect(ctx, ConnectRequest{Client: alice})
	require.NoError(t, err)
	require.Equal(t, &ConnectResult{
		User:     "bob",
		ExpireAt: 1700000000,
		Info:     []byte(`{"name":"Bob"}`),
		Data:     jsonPayload(`[1]`),
		Channels: []string{"a", "b"},
		Caps:     []Cap{{Channels: []string{"a*"}, Match: MatchWildcard, Allow: []string{"sub", "pub"}}},
	}, connected)

	b.respondWith(text(`{"error":null,"result":{"info":{"x":1},"b64data":"AP8=","expire_at":5}}`))
	subscribed, err := h.Subscribe(ctx, SubscribeRequest{Client: alice, Channel: "a"})
	require.NoError(t, err)
	require.Equal(t,
		&SubscribeResult{Info: []byte(`{"x":1}`), Data: Payload{Bytes: []byte{0, 255}, Binary: true}, ExpireAt: 5},
		subscribed)

	b.respondWith(text(`{"result":{"data":{"clean":true}}}`))
	published, err := h.Publish(ctx, PublishRequest{Client: alice, Channel: "a", Data: jsonPayload(`1`)})
	require.NoError(t, err)
	require.Equal(t, &PublishResult{Data: jsonPayload(`{"clean":true}`)}, published)

	b.respondWith(text(`{"result":{"data":null,"info":null}}`))
	called, err := h.RPC(ctx, RPCRequest{Client: alice, Method: "m"})
	require.NoError(t, err)
	require.Equal(t, &RPCResult{}, called)
	require.Equal(t, []string{"connect ok", "subscribe ok", "publish ok", "rpc ok"}, s.all())
}

func TestCallbackReturnsRefusals(t *testing.T) {
	b, url := listen(t, text(`{}`))
	h, s, _ := newHooks(t, allCallbacks(Callback{URL: url, WhenDown: Allow}))
	for answer, want := range map[string]error{
		`{"error":{"code":403,"message":"no","temporary":true}}`:         &Error{Code: 403, Message: "no", Temporary: true},
		`{"error":{"code":103,"message":"permission denied"}}`:           &Error{Code: 103, Message: "permission denied"},
		`{"error":{"code":1999},"result":{}}`:                            &Error{Code: 1999},
		`{"disconnect":{"code":4001,"reason":"bye"},"error":{"code":1}}`: &Disconnect{Code: 4001, Reason: "bye"},
		`{"disconnect":{"code":3503}}`:                                   &Disconnect{Code: 3503},
	} {
		b.respondWith(text(answer))
		_, err := h.Connect(t.Context(), ConnectRequest{Client: alice})
		require.Equal(t, want, err, answer)
		outcome := "connect error"
		if strings.HasPrefix(answer, `{"disconnect"`) {
			outcome = "connect disconnect"
		}
		all := s.all()
		require.Equal(t, outcome, all[len(all)-1])
		require.NotContains(t, err.Error(), "no\"")
	}
}

// downBackends returns the URLs of backends that are down, by what is wrong with them.
func downBackends(t *testing.T) map[string]string {
	t.Helper()
	hang := make(chan struct{})
	urls := map[string]string{}
	for name, answer := range map[string]http.HandlerFunc{
		"hangs":          func(http.ResponseWriter, *http.Request) { <-hang },
		"500":            status(http.StatusInternalServerError),
		"503":            status(http.StatusServiceUnavailable),
		"429":            status(http.StatusTooManyRequests),
		"not JSON":       text(`<html>`),
		"cut off":        text(`{"result":{`),
		"no member":      text(`{}`),
		"null":           text(`null`),
		"another type":   text(`[]`),
		"nothing":        text(``),
		"data behind it": text(`{"result":{}}{}`),
		"hangs up":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"short body": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"error":{"code":403}`))
		},
	} {
		_, urls[name] = listen(t, answer)
	}
	// Before the servers are closed, which wait for it.
	t.Cleanup(func() { close(hang) })
	gone := httptest.NewServer(http.NotFoundHandler())
	urls["not there"] = gone.URL
	gone.Close()
	return urls
}

func TestCallbackAppliesPolicyWhenDown(t *testing.T) {
	for name, url := range downBackends(t) {
		t.Run(name, func(t *testing.T) {
			refuse, refused, _ := newHooks(t, allCallbacks(Callback{URL: url, Timeout: 50 * time.Millisecond}))
			_, err := refuse.Connect(t.Context(), ConnectRequest{Client: alice})
			require.ErrorIs(t, err, ErrDown)
			_, err = refuse.Subscribe(t.Context(), SubscribeRequest{Client: alice})
			require.ErrorIs(t, err, ErrDown)
			require.Equal(t, []string{"connect down", "subscribe down"}, refused.all())

			allow, allowed, _ := newHooks(t, allCallbacks(Callback{URL: url, Timeout: 50 * time.Millisecond, WhenDown: Allow}))
			connected, err := allow.Connect(t.Context(), ConnectRequest{Client: alice})
			require.NoError(t, err)
			require.Equal(t, &ConnectResult{}, connected)
			subscribed, err := allow.Subscribe(t.Context(), SubscribeRequest{Client: alice})
			require.NoError(t, err)
			require.Equal(t, &SubscribeResult{}, subscribed)
			published, err := allow.Publish(t.Context(), PublishRequest{Client: alice})
			require.NoError(t, err)
			require.Equal(t, &PublishResult{}, published)
			_, err = allow.RPC(t.Context(), RPCRequest{Client: alice})
			require.ErrorIs(t, err, ErrDown, "a call has no result to make up")
			require.Equal(t,
				[]string{"connect allowed_while_down", "subscribe allowed_while_down", "publish allowed_while_down", "rpc down"},
				allowed.all())
		})
	}
}

// An unusable answer must neither let the client in nor count as a backend that is down. Otherwise a client could open
// the breaker and so get in by the policy Allow.
func TestCallbackRefusesUnusableAnswerInSpiteOfAllow(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"401":      status(http.StatusUnauthorized),
		"404":      status(http.StatusNotFound),
		"204":      status(http.StatusNoContent),
		"redirect": status(http.StatusTemporaryRedirect, "Location", "/elsewhere"),
		"too long": text(`{"result":{"data":"` + strings.Repeat("x", maxResponseBytes) + `"}}`),
		"no end": func(w http.ResponseWriter, _ *http.Request) {
			for err := error(nil); err == nil; {
				_, err = w.Write(make([]byte, 64<<10))
			}
		},
		"error code":         text(`{"error":{"code":200}}`),
		"no error code":      text(`{"error":{}}`),
		"error's type":       text(`{"error":"no"}`),
		"disconnect code":    text(`{"disconnect":{"code":3000}}`),
		"disconnect's type":  text(`{"disconnect":{"code":"x"}}`),
		"long reason":        text(`{"disconnect":{"code":4000,"reason":"` + strings.Repeat("x", 124) + `"}}`),
		"result's type":      text(`{"result":true}`),
		"field's type":       text(`{"result":{"user":7}}`),
		"base64":             text(`{"result":{"b64data":"?"}}`),
		"both data":          text(`{"result":{"b64data":"","data":1}}`),
		"negative expire_at": text(`{"result":{"expire_at":-1}}`),
		"regex caps":         text(`{"result":{"caps":[{"match":"regex","allow":["sub"]}]}}`),
		"unknown caps":       text(`{"result":{"caps":[{"allow":["fly"]}]}}`),
		"not UTF-8":          text("{\"result\":{\"data\":\"\xff\"}}"),
		"both info":          text(`{"result":{"info":1,"b64info":"MQ=="}}`),
		"b64info's base64":   text(`{"result":{"b64info":"?"}}`),
		"b64info's type":     text(`{"result":{"b64info":1}}`),
		"b64info, no JSON":   text(`{"result":{"b64info":"AAEC"}}`),
		"subs' type":         text(`{"result":{"subs":["a"]}}`),
		"a sub's type":       text(`{"result":{"subs":{"a":1}}}`),
		"a sub's both data":  text(`{"result":{"subs":{"a":{"data":1,"b64data":"MQ=="}}}}`),
		"a sub's b64info":    text(`{"result":{"subs":{"a":{"b64info":"?"}}}}`),
		"meta's type":        text(`{"result":{"meta":[1]}}`),
		"skip_history's":     text(`{"result":{"skip_history":1}}`),
	} {
		t.Run(name, func(t *testing.T) {
			b, url := listen(t, answer)
			h, s, _ := newHooks(t, Options{Connect: Callback{URL: url, WhenDown: Allow}})
			for range 2 * breakerFailures {
				_, err := h.Connect(t.Context(), ConnectRequest{Client: alice})
				require.ErrorIs(t, err, ErrDown)
			}
			require.Equal(t, "connect down", s.all()[0])
			require.False(t, h.BreakerOpen(HookConnect))
			require.Len(t, b.got(), 2*breakerFailures, "asked each time, and no redirect followed")
		})
	}
}

func TestBreakerIgnoresCanceledCalls(t *testing.T) {
	hang := make(chan struct{})
	_, url := listen(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) })
	h, s, _ := newHooks(t, Options{Connect: Callback{URL: url, WhenDown: Allow}})
	for range 2 * breakerFailures {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := h.Connect(ctx, ConnectRequest{Client: alice})
		require.ErrorIs(t, err, context.Canceled)
	}
	require.False(t, h.BreakerOpen(HookConnect))
	require.Equal(t, "connect canceled", s.all()[0])
}

func TestCallbackRefusesUntrustedCertificate(t *testing.T) {
	server := httptest.NewTLSServer(text(`{"result":{}}`))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	h, _, log := newHooks(t, Options{Connect: Callback{URL: server.URL}})
	_, err := h.Connect(t.Context(), ConnectRequest{Client: alice})
	require.ErrorIs(t, err, ErrDown)
	require.Contains(t, log.String(), "its certificate cannot be trusted")
}

func TestCallbackBoundsRequestsInFlight(t *testing.T) {
	b, url := listen(t, text(`{"result":{}}`))
	h, _, _ := newHooks(t, Options{Connect: Callback{URL: url}})
	require.True(t, h.connect.inFlight.TryAcquire(maxInFlight))
	_, err := h.Connect(t.Context(), ConnectRequest{Client: alice})
	require.ErrorIs(t, err, ErrDown)
	require.ErrorContains(t, err, "crowded")
	require.Empty(t, b.got())
	h.connect.inFlight.Release(maxInFlight)
	_, err = h.Connect(t.Context(), ConnectRequest{Client: alice})
	require.NoError(t, err)
	require.True(t, h.connect.inFlight.TryAcquire(maxInFlight), "each request released its slot")
}

// What a backend answers in vain is logged, once a member.
func TestCallbackLogsUnknownMembers(t *testing.T) {
	_, url := listen(t,
		text(`{"result":{"User":"u","subs":{"a":{"override":{"secret":1},"info":1},"b":{"override":{}}},`+
			`"more":{"secret":1}}}`),
		text(`{"result":{"more":{},"override":{}}}`), text(`{"result":{"user":"u"}}`),
		text(`{"error":{"code":400,"message":"no"},"result":{"late":1}}`))
	h, _, log := newHooks(t, Options{Connect: Callback{URL: url}})
	for range 4 {
		_, _ = h.Connect(t.Context(), ConnectRequest{Client: alice})
	}
	for member, times := range map[string]int{
		"more": 1, "override": 1, "subs.override": 1, "subs": 0, "subs.info": 0, "late": 0, "user": 0, "User": 0,
	} {
		require.Equal(t, times, strings.Count(log.String(), "member=result."+member+"\n"), member)
	}
	require.NotContains(t, log.String(), "secret")
}

// A call waits for another one to end, for as long as the backend may take to answer.
func TestCallbackWaitsForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, h, _ := newSyncHooks(t, allCallbacks(Callback{URL: "http://backend", Timeout: time.Second}),
			text(`{"result":{}}`))
		call := func(ctx context.Context) <-chan error {
			done := make(chan error, 1)
			go func() {
				_, err := h.Connect(ctx, ConnectRequest{Client: alice})
				done <- err
			}()
			synctest.Wait()
			return done
		}
		require.True(t, h.connect.inFlight.TryAcquire(maxInFlight))
		ctx, cancel := context.WithCancel(t.Context())
		left, early := call(ctx), call(t.Context())
		time.Sleep(900 * time.Millisecond)
		late := call(t.Context())
		cancel()
		require.ErrorIs(t, <-left, context.Canceled)
		require.Empty(t, early)
		time.Sleep(200 * time.Millisecond)
		require.ErrorContains(t, <-early, "crowded")
		h.connect.inFlight.Release(maxInFlight)
		require.NoError(t, <-late)
	})
}

func TestBreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, h, s := newSyncHooks(t, allCallbacks(Callback{URL: "http://backend"}), status(http.StatusInternalServerError))
		call := func() error {
			_, err := h.Connect(t.Context(), ConnectRequest{Client: alice})
			return err
		}
		for range breakerFailures {
			require.False(t, h.BreakerOpen(HookConnect))
			require.ErrorIs(t, call(), ErrDown)
		}
		require.True(t, h.BreakerOpen(HookConnect))
		require.False(t, h.BreakerOpen(HookSubscribe), "each hook has its own")
		require.False(t, h.BreakerOpen("other"))
		require.ErrorIs(t, call(), ErrDown)
		require.Len(t, b.got(), breakerFailures, "not asked any more")

		time.Sleep(callbackOpenDuration + time.Millisecond)
		require.False(t, h.BreakerOpen(HookConnect))
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, err := h.Connect(gone, ConnectRequest{Client: alice})
		require.ErrorIs(t, err, context.Canceled, "which shows nothing")
		require.ErrorIs(t, call(), ErrDown)
		require.True(t, h.BreakerOpen(HookConnect), "one attempt was enough to see that it is still down")
		require.Len(t, b.got(), breakerFailures+1)

		b.respondWith(text(`{"result":{}}`))
		time.Sleep(callbackOpenDuration + time.Millisecond)
		require.NoError(t, call())
		require.NoError(t, call())
		require.Equal(t, "connect ok", s.all()[len(s.all())-1])
	})
}

// One client whose questions the backend stumbles over is not a backend that is down.
func TestBreakerConsidersShareOfFailures(t *testing.T) {
	b, url := listen(t, text(`{"result":{}}`))
	h, _, _ := newHooks(t, Options{RPC: Callback{URL: url}})
	for range 4 * breakerFailures {
		b.respondWith(text(`{"result":{}}`))
		for range 2 {
			_, err := h.RPC(t.Context(), RPCRequest{Client: alice})
			require.NoError(t, err)
		}
		b.respondWith(status(http.StatusInternalServerError))
		_, err := h.RPC(t.Context(), RPCRequest{Client: alice})
		require.ErrorIs(t, err, ErrDown)
	}
	require.False(t, h.BreakerOpen(HookRPC))
}

// The server closes a kept connection just as the next request is on its way.
func TestCallbackRepeatsRequestOnStaleConnection(t *testing.T) {
	hangUp := func(w http.ResponseWriter, _ *http.Request) {
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = c.Close()
		}
	}
	b, url := listen(t, text(`{"result":{}}`))
	h, _, _ := newHooks(t, allCallbacks(Callback{URL: url}))
	b.respondWith(text(`{"result":{}}`), hangUp, text(`{"result":{}}`))
	for range 2 {
		_, err := h.Subscribe(t.Context(), SubscribeRequest{Client: alice})
		require.NoError(t, err)
	}
	require.Len(t, b.got(), 3, "asked again")
	b.respondWith(hangUp, text(`{"result":{}}`))
	_, err := h.RPC(t.Context(), RPCRequest{Client: alice})
	require.ErrorIs(t, err, ErrDown, "the call may have been carried out")
	require.Len(t, b.got(), 4)
}

// verified checks a signature without the library that made it.
func verified(t *testing.T, r receivedRequest, secret string) bool {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	require.NoError(t, err)
	stamp, err := strconv.ParseInt(r.header.Get("webhook-timestamp"), 10, 64)
	require.NoError(t, err)
	require.WithinDuration(t, r.at, time.Unix(stamp, 0), 2*time.Second)
	id := r.header.Get("webhook-id")
	require.NotEmpty(t, id)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + r.header.Get("webhook-timestamp") + "." + r.body))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.SplitSeq(r.header.Get("webhook-signature"), " ") {
		if got == want {
			return true
		}
	}
	return false
}

func TestSignerSignsWithEveryKey(t *testing.T) {
	const second = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	b, url := listen(t, text(`{"result":{}}`))
	for _, secrets := range []string{secret, " " + second + "\n" + secret + "\n"} {
		o := allCallbacks(Callback{URL: url})
		o.Secret = secrets
		h, _, _ := newHooks(t, o)
		for range 2 {
			_, err := h.Publish(t.Context(), PublishRequest{Client: alice, Channel: "a", Data: jsonPayload(`{"x":"y"}`)})
			require.NoError(t, err)
		}
		got := b.got()
		last := got[len(got)-1]
		require.True(t, verified(t, last, secret))
		require.Equal(t, secrets != secret, verified(t, last, second))
		require.NotEqual(t, got[len(got)-2].header.Get("webhook-id"), last.header.Get("webhook-id"))
	}
	unsigned, _, _ := newHooks(t, allCallbacks(Callback{URL: url}))
	_, err := unsigned.Publish(t.Context(), PublishRequest{Client: alice})
	require.NoError(t, err)
	got := b.got()
	require.Empty(t, got[len(got)-1].header.Get("webhook-signature"))
}

func TestHooksLogNothingPrivate(t *testing.T) {
	b, url := listen(t, text(`{}`))
	o := allCallbacks(Callback{URL: url + "/path?key=query-key", Timeout: time.Second})
	o.Secret, o.WebhookURL, o.ForwardHeaders = secret, url+"/?key=query-key", []string{"Cookie"}
	h, _, log := newHooks(t, o)
	said := ""
	for _, answer := range []http.HandlerFunc{text(`{"error":{"code":403,"message":"from-backend"}}`),
		text(`{"error":{"code":5,"message":"from-backend"}}`), text(`from-backend`),
		text(`{"result":{"user":["from-backend"],"b64data":"from-backend"}}`), text(`{"result":{"b64data":"from-backend"}}`),
		text(`{"disconnect":{"code":1,"reason":"from-backend"}}`), status(http.StatusFound, "Location", "/from-backend"),
		status(http.StatusBadGateway), func(w http.ResponseWriter, _ *http.Request) {
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_, _ = c.Write([]byte("HTTP/1.1 from-backend\r\n\r\n"))
				_ = c.Close()
			}
		},
	} {
		b.respondWith(answer)
		h.connect.warnings = ratelog.New(log.logger())
		_, err := h.Connect(t.Context(),
			ConnectRequest{Client: alice, Data: jsonPayload(`"from-client"`), Header: http.Header{"Cookie": {"from-client"}}})
		require.Error(t, err)
		said += err.Error()
	}
	sent := &batch{id: "1", body: []byte("from-client")}
	h.webhooks.finish(sent, h.webhooks.send(t.Context(), sent))
	said += log.String()
	require.Contains(t, said, "hook has no answer")
	require.Contains(t, said, "webhook batch given up")
	for _, private := range []string{"from-backend", "from-client", "query-key", strings.TrimPrefix(secret, "whsec_"),
		"secret-secret", "alice"} {
		require.NotContains(t, said, private)
	}
}

func TestHooksWithoutCallbacks(t *testing.T) {
	h, _, _ := newHooks(t, Options{})
	require.False(t, h.HasConnect() || h.HasSubscribe() || h.HasPublish() || h.HasRPC())
	_, err := h.Connect(t.Context(), ConnectRequest{})
	require.ErrorIs(t, err, errNotConfigured, "a callback that is not configured allows nothing")
	h.Emit(Event{Kind: Connected})
	require.Zero(t, h.Queued())
	require.False(t, h.BreakerOpen(HookConnect) || h.BreakerOpen(HookWebhook))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, h.Run(ctx))

	h, err = New(allCallbacks(Callback{URL: "http://backend"}))
	require.NoError(t, err)
	require.True(t, h.HasConnect() && h.HasSubscribe() && h.HasPublish() && h.HasRPC())
}
