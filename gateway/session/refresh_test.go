package session_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// capability gives a permission in the channels of a pattern.
func capability(pattern string, p auth.Permission) []auth.Capability {
	return []auth.Capability{{Channels: []string{pattern}, Allow: []auth.Permission{p}}}
}

// fromIdentity is the request for a channel that the client's identity names.
func fromIdentity(channel string) session.SubscribeRequest {
	r := to(channel)
	r.ServerSide, r.FromIdentity = true, true
	return r
}

// fromBackend is the request for a channel of the server API.
func fromBackend(channel string) session.SubscribeRequest {
	r := to(channel)
	r.ServerSide = true
	return r
}

// withToken is a client's request with the subscription token for the channel.
func withToken(channel string) session.SubscribeRequest {
	r := to(channel)
	r.Token = "of " + channel
	return r
}

// Each case is a client with some subscriptions, and a new token for its connection.
func TestRefreshEndsAndBeginsSubscriptions(t *testing.T) {
	for name, c := range map[string]struct {
		before, after auth.Claims
		has           []session.SubscribeRequest
		ended, gained string
		left          string
	}{
		"the same": {
			before: auth.Claims{Channels: []string{"a", "b"}},
			after:  auth.Claims{Channels: []string{"a", "b"}},
			has:    []session.SubscribeRequest{fromIdentity("a"), fromIdentity("b")},
			left:   "a b",
		},
		"one goes, one comes": {
			before: auth.Claims{Channels: []string{"a", "b"}},
			after:  auth.Claims{Channels: []string{"b", "c"}},
			has:    []session.SubscribeRequest{fromIdentity("a"), fromIdentity("b")},
			ended:  "a", gained: "c", left: "b",
		},
		"all go": {
			before: auth.Claims{Channels: []string{"a", "b", "c"}},
			has:    []session.SubscribeRequest{fromIdentity("a"), fromIdentity("b"), fromIdentity("c")},
			ended:  "a b c",
		},
		"all come, one twice": {after: auth.Claims{Channels: []string{"b", "a", "b"}}, gained: "a b"},
		"a capability goes": {
			before: auth.Claims{Caps: capability("closed:*", auth.Subscribe)},
			has:    []session.SubscribeRequest{to("closed:a"), to("open")},
			ended:  "closed:a", left: "open",
		},
		"another capability covers it": {
			before: auth.Claims{Caps: capability("closed:*", auth.Subscribe)},
			after:  auth.Claims{Caps: capability("*:a", auth.Subscribe)},
			has:    []session.SubscribeRequest{to("closed:a")},
			left:   "closed:a",
		},
		"a capability for something else": {
			before: auth.Claims{Caps: capability("closed:*", auth.Subscribe)},
			after:  auth.Claims{Caps: capability("closed:*", auth.Publish)},
			has:    []session.SubscribeRequest{to("closed:a")},
			ended:  "closed:a",
		},
		"a name that allowed the client's own": {
			before: auth.Claims{Channels: []string{"closed:a"}},
			has:    []session.SubscribeRequest{to("closed:a")},
			ended:  "closed:a",
		},
		"the client's own in an open channel": {
			before: auth.Claims{Channels: []string{"a"}},
			has:    []session.SubscribeRequest{to("a")},
			left:   "a",
		},
		"with a subscription token": {
			before: auth.Claims{Caps: capability("closed:*", auth.Subscribe)},
			has:    []session.SubscribeRequest{withToken("closed:a"), to("closed:b")},
			ended:  "closed:b", left: "closed:a",
		},
		"of the server API": {
			before: auth.Claims{Channels: []string{"a"}},
			has:    []session.SubscribeRequest{fromIdentity("a"), fromBackend("closed:a"), fromBackend("b")},
			ended:  "a", left: "b closed:a",
		},
		"of the server API, and named later": {
			after: auth.Claims{Channels: []string{"a"}},
			has:   []session.SubscribeRequest{fromBackend("a")},
			left:  "a",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			c.before.User, c.after.User = "ann", "ann"
			r.tokens.connections["new"] = &c.after
			r.tokens.subscriptions["of closed:a"] = &auth.SubscriptionClaims{User: "ann", Channel: "closed:a"}
			s := r.session(&c.before)
			for _, request := range c.has {
				require.NoError(t, s.Subscribe(t.Context(), request, ignore))
			}
			refreshed, err := s.Refresh(t.Context(), "new")
			require.NoError(t, err)
			require.Equal(t, c.ended, strings.Join(refreshed.Ended, " "))
			require.Equal(t, c.gained, strings.Join(refreshed.Missing, " "))
			require.Equal(t, c.left, strings.Join(s.Channels(), " "))
			for _, channel := range refreshed.Missing {
				require.NoError(t, s.Subscribe(t.Context(), fromIdentity(channel), ignore))
			}
			again, err := s.Refresh(t.Context(), "new")
			require.NoError(t, err)
			require.Equal(t, session.Refreshed{}, again, "the same token changes nothing")
			s.Close()
		})
	}
}

// A subscription that a token ends leaves presence at once, and delivers nothing more.
func TestRefreshReleasesSubscriptions(t *testing.T) {
	r := newHarness(t)
	r.tokens.connections["new"] = &auth.Claims{User: "ann"}
	s, m := r.session(&auth.Claims{User: "ann", Channels: []string{"seen:a"}}), &fakeSubscriber{}
	request := fromIdentity("seen:a")
	request.Subscriber = m
	require.NoError(t, s.Subscribe(t.Context(), request, ignore))
	_, err := s.Refresh(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, "+seen:a:c1 !seen:a:c1 -seen:a:c1", r.presence.read())
	_, err = r.broker.Publish(t.Context(), "seen:a", broker.Publication{Data: []byte("x")}, broker.PublishOptions{})
	require.NoError(t, err)
	require.Zero(t, m.count())
	require.False(t, s.Unsubscribe("seen:a"))
}

// What the connect hook gave stays, whatever tokens say.
func TestRefreshKeepsTheChannelsOfTheConnectHook(t *testing.T) {
	r := newHarness(t)
	r.answering(map[string]string{"connect": `{"result":{"channels":["hooked"],` +
		`"caps":[{"channels":["closed:*"],"match":"wildcard","allow":["sub"]}]}}`})
	r.tokens.connections["old"] = &auth.Claims{User: "ann", Channels: []string{"a"}}
	r.tokens.connections["new"] = &auth.Claims{User: "ann", Channels: []string{"b"}}
	identity, err := r.Identify(t.Context(), session.ConnectRequest{Token: "old"})
	require.NoError(t, err)
	s := session.New(&r.Options)
	s.Bind(c1, identity)
	for _, request := range []session.SubscribeRequest{fromIdentity("a"), fromIdentity("hooked"), to("closed:a")} {
		require.NoError(t, s.Subscribe(t.Context(), request, ignore))
	}
	refreshed, err := s.Refresh(t.Context(), "new")
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, refreshed.Ended)
	require.Equal(t, []string{"b"}, refreshed.Missing)
	require.Equal(t, []string{"closed:a", "hooked"}, s.Channels())
	s.Close()
}

// A subscription that is being made while the token changes is judged by the new one.
func TestRefreshWhileSubscribing(t *testing.T) {
	for name, c := range map[string]struct {
		before, after auth.Claims
		request       session.SubscribeRequest
		err           error
	}{
		"the client's, still allowed": {
			auth.Claims{Caps: capability("closed:*", auth.Subscribe)}, auth.Claims{Channels: []string{"closed:a"}},
			to("closed:a"), nil,
		},
		"the client's, not allowed any more": {
			auth.Claims{Caps: capability("closed:*", auth.Subscribe)}, auth.Claims{}, to("closed:a"), session.ErrNotAllowed,
		},
		"with a token": {auth.Claims{}, auth.Claims{}, withToken("closed:a"), nil},
		"named by both": {
			auth.Claims{Channels: []string{"a"}}, auth.Claims{Channels: []string{"a"}}, fromIdentity("a"), nil,
		},
		"not named any more": {
			auth.Claims{Channels: []string{"a"}}, auth.Claims{}, fromIdentity("a"), session.ErrSubscriptionEnded,
		},
		"of the server API": {auth.Claims{}, auth.Claims{}, fromBackend("closed:a"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newHarness(t)
				c.before.User, c.after.User = "ann", "ann"
				r.tokens.connections["new"] = &c.after
				r.tokens.subscriptions["of closed:a"] = &auth.SubscriptionClaims{User: "ann", Channel: "closed:a"}
				s := r.session(&c.before)
				r.broker.holdConfirmations()
				done := make(chan error, 1)
				go func() { done <- s.Subscribe(context.WithoutCancel(t.Context()), c.request, ignore) }()
				synctest.Wait()
				refreshed, err := s.Refresh(t.Context(), "new")
				require.NoError(t, err)
				require.Empty(t, refreshed.Missing, "it is being made, or not named")
				r.broker.confirm()
				require.ErrorIs(t, <-done, c.err)
				require.Equal(t, c.err == nil, len(s.Channels()) == 1)
				s.Close()
			})
		})
	}
}

// Missing subscriptions of an earlier token are not made after a later one that does not name them.
func TestRefreshThatIsOvertaken(t *testing.T) {
	r := newHarness(t)
	r.tokens.connections["one"] = &auth.Claims{User: "ann", Channels: []string{"a", "b"}}
	r.tokens.connections["two"] = &auth.Claims{User: "ann", Channels: []string{"b", "c"}}
	s := r.session(&auth.Claims{User: "ann"})
	one, err := s.Refresh(t.Context(), "one")
	require.NoError(t, err)
	two, err := s.Refresh(t.Context(), "two")
	require.NoError(t, err)
	require.ErrorIs(t, s.Subscribe(t.Context(), fromIdentity("a"), ignore), session.ErrSubscriptionEnded)
	var group sync.WaitGroup
	for _, channel := range append(one.Missing, two.Missing...) {
		group.Go(func() { _ = s.Subscribe(t.Context(), fromIdentity(channel), ignore) })
	}
	group.Wait()
	require.Equal(t, []string{"b", "c"}, s.Channels())
	s.Close()
	closed, err := s.Refresh(t.Context(), "one")
	require.NoError(t, err)
	require.ErrorIs(t, s.Subscribe(t.Context(), fromIdentity(closed.Missing[0]), ignore), session.ErrSubscriptionEnded)
	require.Empty(t, s.Channels(), "what is closed stays closed")
}

// What others see changes in presence and in publications, and lasts until the next token.
func TestSetInfo(t *testing.T) {
	for name, claims := range map[string]*auth.Claims{
		"with a token":    {User: "ann", Info: []byte(`1`)},
		"without info":    {User: "ann"},
		"without a token": nil,
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.tokens.connections["new"] = &auth.Claims{Info: []byte(`3`)}
			if claims != nil {
				r.tokens.connections["new"].User = claims.User
			}
			s := r.session(claims)
			require.NoError(t, s.Subscribe(t.Context(), to("seen:a"), ignore))
			require.NoError(t, s.Subscribe(t.Context(), to("a"), ignore))
			_ = r.presence.read()
			require.NoError(t, s.SetInfo(t.Context(), nil))
			require.Empty(t, r.presence.read())
			require.NoError(t, s.SetInfo(t.Context(), []byte(`2`)))
			require.Equal(t, "=seen:a:c12", r.presence.read(), "in the channel with presence")
			info, present := s.ClientInfo("seen:a")
			require.True(t, present)
			require.Equal(t, "2", string(info.ConnInfo))
			require.Equal(t, "2", string(s.PublisherInfo("a").ConnInfo))
			if claims != nil {
				require.NotEqual(t, "2", string(claims.Info), "others may read the old ones")
				require.Equal(t, claims.User, s.User())
			}
			_, err := s.Refresh(t.Context(), "new")
			require.NoError(t, err)
			require.Equal(t, "3", string(s.PublisherInfo("a").ConnInfo))

			r.presence.during = func(context.Context) error { return broker.ErrUnavailable }
			require.ErrorIs(t, s.SetInfo(t.Context(), []byte(`4`)), broker.ErrUnavailable)
			require.Equal(t, "4", string(s.PublisherInfo("a").ConnInfo))
			s.Close()
			require.NoError(t, s.SetInfo(t.Context(), []byte(`5`)), "there is nothing to show it in")
		})
	}
}

// A subscription that its client renewed with a token needs no capability any more.
func TestRefreshSparesRenewedSubscriptions(t *testing.T) {
	r := newHarness(t)
	r.tokens.connections["new"] = &auth.Claims{User: "ann"}
	r.tokens.subscriptions["of closed:a"] = &auth.SubscriptionClaims{User: "ann", Channel: "closed:a"}
	s := r.session(&auth.Claims{User: "ann", Caps: capability("closed:*", auth.Subscribe)})
	require.NoError(t, s.Subscribe(t.Context(), to("closed:a"), ignore))
	_, err := s.Renew(t.Context(), session.RenewRequest{Channel: "closed:a", Token: "of closed:a"})
	require.NoError(t, err)
	refreshed, err := s.Refresh(t.Context(), "new")
	require.NoError(t, err)
	require.Empty(t, refreshed.Ended)
	require.Equal(t, []string{"closed:a"}, s.Channels())
	s.Close()
}

// A backend that does not answer is asked again, within a minute; the client stays until then.
func TestSessionAskRefreshOfABackendThatIsDown(t *testing.T) {
	for name, answer := range map[string]string{
		"nonsense":          `nonsense`,
		"temporary":         `{"error":{"code":100,"message":"later","temporary":true}}`,
		"info is too large": `{"result":{"info":"` + strings.Repeat("x", 100_000) + `"}}`,
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.answering(map[string]string{"refresh": answer})
			s := r.session(&auth.Claims{User: "ann"})
			again, err := s.AskRefresh(t.Context(), "json")
			require.NoError(t, err)
			require.WithinRange(t, again, time.Now().Add(20*time.Second), time.Now().Add(time.Minute))
			s.Close()
			_, err = s.AskRefresh(t.Context(), "json")
			require.ErrorIs(t, err, session.ErrSubscriptionEnded, "the backend is not asked about a client that left")
		})
	}
}
