package session_test

import (
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// personal switches personal channels on, and returns the log.
func (r *harness) personal() *strings.Builder {
	log := &strings.Builder{}
	r.PersonalChannels = true
	r.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return log
}

// The user is that of the token, or the one that the connect hook says.
func TestIdentifyAddsThePersonalChannel(t *testing.T) {
	for name, c := range map[string]struct {
		off      bool
		token    *auth.Claims
		answer   string
		channels []string
		personal string
		log      string
	}{
		"off":                    {off: true, token: &auth.Claims{User: "42"}},
		"anonymous":              {},
		"a token without a user": {token: &auth.Claims{Channels: []string{"a"}}, channels: []string{"a"}},
		"a user":                 {token: &auth.Claims{User: "42"}, channels: []string{"#42"}, personal: "#42"},
		"with channels": {
			token:    &auth.Claims{User: "42", Channels: []string{"a"}},
			channels: []string{"a", "#42"}, personal: "#42",
		},
		"named by the token": {
			token:    &auth.Claims{User: "42", Channels: []string{"#42", "a"}},
			channels: []string{"#42", "a"}, personal: "#42",
		},
		"another's in the token": {
			token:    &auth.Claims{User: "42", Channels: []string{"#43"}},
			channels: []string{"#43", "#42"}, personal: "#42",
		},
		"the hook's user": {answer: `{"user":"42"}`, channels: []string{"#42"}, personal: "#42"},
		"another user of the hook": {
			token: &auth.Claims{User: "7"}, answer: `{"user":"42"}`,
			channels: []string{"#42"}, personal: "#42",
		},
		"named by the hook": {
			token: &auth.Claims{User: "42"}, answer: `{"channels":["#42"]}`,
			channels: []string{"#42"}, personal: "#42",
		},
		"the hook has nothing": {
			token: &auth.Claims{User: "42"}, answer: `{}`,
			channels: []string{"#42"}, personal: "#42",
		},
		"a user that is too long":   {token: &auth.Claims{User: strings.Repeat("u", 255)}, log: "bytes=255"},
		"a user that is two":        {token: &auth.Claims{User: "42,43"}, log: "bytes=5"},
		"a user with a #":           {token: &auth.Claims{User: "a#42"}, log: "bytes=4"},
		"a user that is not a name": {answer: `{"user":"a\u0000"}`, log: "bytes=2"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			log := r.personal()
			r.PersonalChannels = !c.off
			request, before := session.ConnectRequest{}, auth.Claims{}
			if c.token != nil {
				request.Token, before = "one", *c.token
				// With room at the end, where a careless append would write.
				c.token.Channels = append(make([]string, 0, 8), c.token.Channels...)
				before.Channels = slices.Clone(c.token.Channels)
				r.tokens.connections["one"] = c.token
			}
			if c.answer != "" {
				r.answering(map[string]string{"connect": `{"result":` + c.answer + `}`})
			}
			got, err := r.Identify(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, c.personal, got.Personal)
			if c.channels == nil {
				require.True(t, got.Claims == nil || len(got.Claims.Channels) == 0)
			} else {
				require.Equal(t, c.channels, got.Claims.Channels)
			}
			if c.token != nil {
				require.Equal(t, before, *c.token, "others may have the same claims")
				require.Equal(t, slices.Repeat([]string{""}, 8-len(before.Channels)),
					c.token.Channels[len(before.Channels):8])
			}
			require.Contains(t, log.String(), c.log)
			require.Equal(t, c.log == "", log.String() == "")
		})
	}
}

// A new token of the same user leaves the personal channel, and ends what only the old one gave.
func TestRefreshKeepsThePersonalChannel(t *testing.T) {
	for name, answer := range map[string]string{"token": "", "hook": `{"result":{"user":"42","channels":["hooked"]}}`} {
		t.Run(name, func(t *testing.T) {
			r := newHarness(t)
			r.personal()
			user := "42"
			if answer != "" {
				r.answering(map[string]string{"connect": answer})
				user = "forty-two"
			}
			r.tokens.connections["old"] = &auth.Claims{
				User: user, Channels: []string{"a"}, Caps: capability("*", auth.Subscribe),
			}
			r.tokens.connections["new"] = &auth.Claims{User: user}
			identity, err := r.Identify(t.Context(), session.ConnectRequest{Token: "old"})
			require.NoError(t, err)
			s := session.New(&r.Options)
			s.Bind(c1, identity)
			require.NoError(t, s.Subscribe(t.Context(), fromIdentity("#42"), ignore))
			require.NoError(t, s.Subscribe(t.Context(), fromIdentity("a"), ignore))
			require.NoError(t, s.Subscribe(t.Context(), to("mine#42"), ignore))
			require.NoError(t, s.Subscribe(t.Context(), to("theirs#43"), ignore))

			refreshed, err := s.Refresh(t.Context(), "new")
			require.NoError(t, err)
			require.Equal(t, []string{"a", "theirs#43"}, refreshed.Ended)
			require.NotContains(t, refreshed.Missing, "#42")
			require.Equal(t, []string{"#42", "mine#42"}, s.Channels())

			require.True(t, s.Unsubscribe("#42"))
			refreshed, err = s.Refresh(t.Context(), "new")
			require.NoError(t, err)
			require.Contains(t, refreshed.Missing, "#42", "as a channel that the token names")
			require.Empty(t, r.tokens.connections["new"].Channels)
			s.Close()
		})
	}
}

// The server subscribes to the personal channel by the client's identity. The client may not do so a second time.
func TestSubscribeToThePersonalChannelTwice(t *testing.T) {
	r := newHarness(t)
	r.personal()
	r.tokens.connections["one"] = &auth.Claims{User: "42"}
	identity, err := r.Identify(t.Context(), session.ConnectRequest{Token: "one"})
	require.NoError(t, err)
	s := session.New(&r.Options)
	s.Bind(c1, identity)
	require.NoError(t, s.Subscribe(t.Context(), fromIdentity("#42"), ignore))
	require.ErrorIs(t, s.Subscribe(t.Context(), to("#42"), ignore), session.ErrSubscribed)
	require.ErrorIs(t, s.Subscribe(t.Context(), to("#43"), ignore), session.ErrNotAllowed)
	s.Close()
}
