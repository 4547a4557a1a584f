package session_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// moment is the time when the tests' tokens were issued.
var moment = time.Unix(1_800_000_000, 0)

func TestIdentify(t *testing.T) {
	ann := &auth.Claims{User: "ann", IssuedAt: moment}
	for name, c := range map[string]struct {
		anonymous bool
		token     string
		// revoked is the time when ann's tokens were revoked; zero means never.
		revoked       time.Time
		away          bool
		want          error
		user          string
		wantAnonymous bool
	}{
		"anonymous, where that is fine":      {anonymous: true, wantAnonymous: true},
		"anonymous, where a token is needed": {want: session.ErrUnauthorized},
		"a token":                            {token: "ann", user: "ann"},
		"a token, where it is not needed":    {anonymous: true, token: "ann", user: "ann"},
		"a token without a user":             {token: "userless"},
		"forged, where none is needed":       {anonymous: true, token: "forged", want: session.ErrInvalidToken},
		"forged":                             {token: "forged", want: session.ErrInvalidToken},
		"expired":                            {anonymous: true, token: "old", want: session.ErrExpiredToken},
		"no keys":                            {anonymous: true, token: "keyless", want: auth.ErrUnavailable},
		"no tokens here":                     {anonymous: true, token: "off", want: session.ErrInvalidToken},
		"revoked later":                      {token: "ann", revoked: moment.Add(time.Second), want: session.ErrInvalidToken},
		"revoked in the same second":         {token: "ann", revoked: moment, want: session.ErrInvalidToken},
		"revoked before":                     {token: "ann", revoked: moment.Add(-time.Nanosecond), user: "ann"},
		"revoked, and no iat":                {token: "ageless", revoked: moment, want: session.ErrInvalidToken},
		"no iat":                             {token: "ageless", user: "ann"},
		"the broker is away":                 {token: "ann", away: true, want: broker.ErrUnavailable},
		"the broker is away, and no token":   {anonymous: true, away: true, wantAnonymous: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.Anonymous = c.anonymous
			r.tokens.connections = map[string]*auth.Claims{"ann": ann, "userless": {IssuedAt: moment}, "ageless": {User: "ann"}}
			r.tokens.errors = map[string]error{"old": auth.ErrExpired, "keyless": auth.ErrUnavailable, "off": auth.ErrOff}
			if c.away {
				r.broker.on("revoked", func(context.Context) error { return broker.ErrUnavailable })
			}
			if !c.revoked.IsZero() {
				require.NoError(t, r.broker.Revoke(t.Context(), "ann", c.revoked))
			}
			got, err := r.Identify(t.Context(), session.ConnectRequest{Token: c.token})
			require.ErrorIs(t, err, c.want)
			switch {
			case c.want != nil || c.wantAnonymous:
				require.Nil(t, got.Claims)
			default:
				require.Equal(t, c.user, got.Claims.User)
			}
		})
	}
}

// The connect hook's answer adds to the token's claims, and wins.
func TestIdentifyAppliesTheConnectHook(t *testing.T) {
	token := &auth.Claims{
		User: "ann", Info: []byte(`1`), Channels: []string{"t"}, IssuedAt: moment, ExpiresAt: moment.Add(time.Hour),
		Caps: []auth.Capability{{Channels: []string{"t:*"}, Allow: []auth.Permission{auth.Subscribe}}},
	}
	large := strings.Repeat("x", auth.MaxInfo)
	for name, c := range map[string]struct {
		token, answer string
		want          *auth.Claims
		data          string
		err           error
	}{
		"nothing, and a token":  {"ann", `{"result":{}}`, token, "", nil},
		"nothing, and no token": {"", `{"result":{}}`, nil, "", session.ErrUnauthorized},
		"data":                  {"ann", `{"result":{"data":{"motd":1}}}`, token, `{"motd":1}`, nil},
		"a user, and no token":  {"", `{"result":{"user":"bob"}}`, &auth.Claims{User: "bob"}, "", nil},
		"another user": {"ann", `{"result":{"user":"bob"}}`, with(token, func(c *auth.Claims) { c.User = "bob" }),
			"", nil},
		"a later end": {"ann", `{"result":{"expire_at":1900000000}}`, token, "", nil},
		"an earlier end": {"ann", `{"result":{"expire_at":1800000001}}`,
			with(token, func(c *auth.Claims) { c.ExpiresAt = time.Unix(1_800_000_001, 0) }), "", nil},
		"an end, and no token": {"", `{"result":{"user":"bob","expire_at":1900000000}}`,
			&auth.Claims{User: "bob", ExpiresAt: time.Unix(1_900_000_000, 0)}, "", nil},
		"info": {"ann", `{"result":{"info":2}}`, with(token, func(c *auth.Claims) { c.Info = []byte(`2`) }), "", nil},
		"channels": {"ann", `{"result":{"channels":["b"]}}`,
			with(token, func(c *auth.Claims) { c.Channels = []string{"t", "b"} }), "", nil},
		"subs": {"ann", `{"result":{"subs":{"c":{"info":1},"b":{"b64info":"Mg==","data":[1]},"t":{"b64data":"AAE="}}}}`,
			with(token, func(c *auth.Claims) {
				c.Channels = []string{"t", "b", "c", "t"}
				c.Subs = map[string]auth.Sub{
					"b": {Info: []byte(`2`), Data: []byte(`[1]`)}, "c": {Info: []byte(`1`)},
					"t": {Data: []byte{0, 1}, Binary: true},
				}
			}), "", nil},
		"meta": {"ann", `{"result":{"meta":{"m":1}}}`,
			with(token, func(c *auth.Claims) { c.Meta = []byte(`{"m":1}`) }), "", nil},
		"too much meta": {"ann", `{"result":{"meta":{"m":"` + large + `"}}}`, nil, "", session.ErrInfoTooLarge},
		"too much info of a sub": {"ann", `{"result":{"subs":{"a":{"info":"` + large + `"}}}}`, nil, "",
			session.ErrInfoTooLarge},
		"too much data of a sub": {"ann", `{"result":{"subs":{"a":{"data":"` + large + `"}}}}`, nil, "",
			session.ErrInfoTooLarge},
		"caps": {"ann", `{"result":{"caps":[{"channels":["b:*"],"match":"wildcard","allow":["pub","hst"]}]}}`,
			with(token, func(c *auth.Claims) {
				c.Caps = append(c.Caps[:1:1],
					auth.Capability{Channels: []string{"b:*"}, Allow: []auth.Permission{auth.Publish, auth.History}})
			}), "", nil},
		"caps by name": {"ann", `{"result":{"caps":[{"channels":["b:*"],"allow":["sub"]}]}}`,
			with(token, func(c *auth.Claims) {
				c.Caps = append(c.Caps[:1:1],
					auth.Capability{Channels: []string{"b:*"}, Allow: []auth.Permission{auth.Subscribe}, Exact: true})
			}), "", nil},
		"too much info": {"ann", `{"result":{"info":"` + large + `"}}`, nil, "",
			session.ErrInfoTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.Anonymous = false
			r.tokens.connections["ann"] = token
			asked := r.answering(map[string]string{"connect": c.answer})
			got, err := r.Identify(t.Context(), session.ConnectRequest{Token: c.token, Name: "js", Channels: []string{"x"}})
			require.ErrorIs(t, err, c.err)
			require.Len(t, asked.all(), 1)
			require.Contains(t, asked.all()[0], `"name":"js"`)
			require.Equal(t, c.token != "", strings.Contains(asked.all()[0], `"user":"ann"`))
			if err != nil {
				return
			}
			require.Equal(t, c.want, got.Claims)
			require.Equal(t, c.data, string(got.Data.Bytes))
		})
	}
	require.Equal(t, []string{"t"}, token.Channels, "what the verifier gave stays as it was")
	require.Len(t, token.Caps, 1)
}

func with(c *auth.Claims, change func(*auth.Claims)) *auth.Claims {
	changed := *c
	change(&changed)
	return &changed
}

func TestIdentifyRefusedByTheConnectHook(t *testing.T) {
	r := newHarness(t)
	r.answering(map[string]string{"connect": `{"error":{"code":403,"message":"no"}}`})
	_, err := r.Identify(t.Context(), session.ConnectRequest{})
	require.ErrorAs(t, err, new(*hooks.Error))
	r.answering(map[string]string{"connect": `{"disconnect":{"code":4001,"reason":"no"}}`})
	_, err = r.Identify(t.Context(), session.ConnectRequest{})
	require.ErrorAs(t, err, new(*hooks.Disconnect))
	asked := r.answering(map[string]string{"connect": `{"result":{}}`})
	_, err = r.Identify(t.Context(), session.ConnectRequest{Token: "forged"})
	require.ErrorIs(t, err, session.ErrInvalidToken)
	require.Empty(t, asked.all(), "a token that is refused is not the backend's business")
}

func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newHarness(t)
		r.tokens.connections = map[string]*auth.Claims{
			"new":      {User: "ann", Info: []byte(`2`), IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)},
			"bob":      {User: "bob"},
			"userless": {},
			"before":   {User: "ann", IssuedAt: time.Now().Add(-time.Hour)},
		}
		r.tokens.errors["old"] = auth.ErrExpired
		require.NoError(t, r.broker.Revoke(t.Context(), "ann", time.Now().Add(-time.Minute)))

		s := r.session(&auth.Claims{User: "ann", Info: []byte(`1`)})
		refreshed, err := s.Refresh(t.Context(), "new")
		require.NoError(t, err)
		require.Equal(t, session.Refreshed{ExpiresAt: time.Now().Add(time.Hour)}, refreshed)
		require.Equal(t, "2", string(s.PublisherInfo("").ConnInfo))
		for token, want := range map[string]error{
			"bob":      session.ErrInvalidToken,
			"userless": session.ErrInvalidToken,
			"forged":   session.ErrInvalidToken,
			"before":   session.ErrInvalidToken,
			"old":      session.ErrExpiredToken,
		} {
			_, err := s.Refresh(t.Context(), token)
			require.ErrorIs(t, err, want, token)
		}
		require.Equal(t, "ann", s.User())
		require.Equal(t, "2", string(s.PublisherInfo("").ConnInfo))
		_, err = r.session(nil).Refresh(t.Context(), "new")
		require.ErrorIs(t, err, session.ErrInvalidToken, "a client without a token is anonymous")

		r.broker.on("revoked", func(context.Context) error { return errors.New("down") })
		_, err = s.Refresh(t.Context(), "new")
		require.ErrorContains(t, err, "down")
	})
}

// A new token does not take away what the connect hook gave.
func TestRefreshKeepsOverrides(t *testing.T) {
	r := newHarness(t)
	r.answering(map[string]string{
		"connect": `{"result":{"user":"u-1","info":2,"expire_at":1800000000,` +
			`"caps":[{"channels":["nobody:*"],"match":"wildcard","allow":["pub"]}]}}`,
	})
	r.tokens.connections = map[string]*auth.Claims{
		"ann":     {User: "ann"},
		"new":     {User: "ann", Info: []byte(`3`), ExpiresAt: moment.Add(time.Hour)},
		"short":   {User: "ann", ExpiresAt: moment.Add(-time.Hour)},
		"endless": {User: "ann"},
		"other":   {User: "u-1"},
	}
	client, err := r.Identify(t.Context(), session.ConnectRequest{Token: "ann"})
	require.NoError(t, err)
	s := session.New(&r.Options)
	s.Bind(c1, client)
	require.Equal(t, "u-1", s.User())

	refreshed, err := s.Refresh(t.Context(), "new")
	require.NoError(t, err, "it is of the user that the first token was of")
	require.Equal(t, moment, refreshed.ExpiresAt, "no token moves the backend's end")
	require.Equal(t, broker.ClientInfo{Client: c1.String(), User: "u-1", ConnInfo: []byte(`2`)}, s.PublisherInfo(""))
	_, err = s.Publish(t.Context(), session.Message{Channel: "nobody:a", Data: []byte("x")})
	require.NoError(t, err, "the permission is still there")
	for token, end := range map[string]time.Time{"endless": moment, "short": moment.Add(-time.Hour)} {
		refreshed, err = s.Refresh(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, end, refreshed.ExpiresAt, token)
	}
	_, err = s.Refresh(t.Context(), "other")
	require.ErrorIs(t, err, session.ErrInvalidToken)

	hookOnly, err := r.Identify(t.Context(), session.ConnectRequest{})
	require.NoError(t, err)
	s.Bind(c1, hookOnly)
	_, err = s.Refresh(t.Context(), "other")
	require.NoError(t, err)
	_, err = s.Refresh(t.Context(), "new")
	require.ErrorIs(t, err, session.ErrInvalidToken)
}

// A hook's timeout may be longer than the broker's.
func TestSessionHooksHaveTheirOwnTimeout(t *testing.T) {
	r := newHarness(t)
	r.Timeout = 100 * time.Millisecond
	answers := map[string]string{
		"connect":   `{"result":{"user":"ann"}}`,
		"subscribe": `{"result":{}}`,
		"publish":   `{"result":{}}`,
	}
	r.answering(answers).delay = 2 * r.Timeout
	client, err := r.Identify(t.Context(), session.ConnectRequest{})
	require.NoError(t, err)
	s := session.New(&r.Options)
	s.Bind(c1, client)
	require.NoError(t, s.Subscribe(t.Context(), to("a"), ignore))
	_, err = s.Publish(t.Context(), session.Message{Channel: "a", Data: []byte("x")})
	require.NoError(t, err)
	s.Close()
}

// A revocation disconnects registered clients. A client that registers at the same time checks its token again.
func TestCheckNotRevoked(t *testing.T) {
	r := newHarness(t)
	r.answering(map[string]string{"connect": `{"result":{"user":"u-1"}}`})
	r.tokens.connections = map[string]*auth.Claims{"ann": {User: "ann", IssuedAt: moment}, "userless": {IssuedAt: moment}}
	identities := map[string]session.Identity{}
	for _, token := range []string{"ann", "userless", ""} {
		client, err := r.Identify(t.Context(), session.ConnectRequest{Token: token})
		require.NoError(t, err)
		require.NoError(t, r.CheckNotRevoked(t.Context(), client))
		identities[token] = client
	}
	require.NoError(t, r.broker.Revoke(t.Context(), "u-1", moment.Add(time.Second)))
	require.NoError(t, r.CheckNotRevoked(t.Context(), identities["ann"]),
		"the token is of another user than the backend says")
	require.NoError(t, r.broker.Revoke(t.Context(), "ann", moment.Add(time.Second)))
	require.ErrorIs(t, r.CheckNotRevoked(t.Context(), identities["ann"]), session.ErrInvalidToken)
	require.NoError(t, r.CheckNotRevoked(t.Context(), identities["userless"]))
	require.NoError(t, r.CheckNotRevoked(t.Context(), identities[""]), "the backend's word is not a token")

	r.broker.on("revoked", func(context.Context) error { return broker.ErrUnavailable })
	require.ErrorIs(t, r.CheckNotRevoked(t.Context(), identities["ann"]), broker.ErrUnavailable)
	require.NoError(t, r.CheckNotRevoked(t.Context(), identities[""]))
	r.Timeout = time.Millisecond
	r.broker.on("revoked", func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	require.ErrorIs(t, r.CheckNotRevoked(context.WithoutCancel(t.Context()), identities["ann"]), context.DeadlineExceeded)
}
