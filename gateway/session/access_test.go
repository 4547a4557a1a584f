package session

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func caps(pattern string, allow ...auth.Permission) *auth.Claims {
	return &auth.Claims{User: "ann", Caps: []auth.Capability{{Channels: []string{pattern}, Allow: allow}}}
}

// TestMaySubscribe subscribes to "room:1" under every rule as every kind of client. A subscription token always
// suffices.
func TestMaySubscribe(t *testing.T) {
	clients := []struct {
		name   string
		client *auth.Claims
		// may holds the results for the rules SubscribeAnybody, SubscribeAuthenticated and SubscribeToken.
		may [3]bool
	}{
		{"anonymous", nil, [3]bool{true, false, false}},
		{"token without a user", &auth.Claims{}, [3]bool{true, false, false}},
		{"user", &auth.Claims{User: "ann"}, [3]bool{true, true, false}},
		{"user with the channel", &auth.Claims{User: "ann", Channels: []string{"room:1"}}, [3]bool{true, true, true}},
		{"no user with the channel", &auth.Claims{Channels: []string{"room:1"}}, [3]bool{true, true, true}},
		{"user with another channel", &auth.Claims{User: "ann", Channels: []string{"room:2"}}, [3]bool{true, true, false}},
		{"channels are no patterns", &auth.Claims{User: "ann", Channels: []string{"room:*"}}, [3]bool{true, true, false}},
		{"cap of the channel", caps("room:1", auth.Subscribe), [3]bool{true, true, true}},
		{"cap of a pattern", caps("room:*", auth.Publish, auth.Subscribe), [3]bool{true, true, true}},
		{"cap of another pattern", caps("hall:*", auth.Subscribe), [3]bool{true, true, false}},
		{"cap for something else", caps("room:*", auth.Publish, auth.History, auth.Presence), [3]bool{true, true, false}},
		{"cap of the name",
			&auth.Claims{
				User: "ann",
				Caps: []auth.Capability{{Channels: []string{"room:1"}, Allow: []auth.Permission{auth.Subscribe}, Exact: true}},
			},
			[3]bool{true, true, true}},
		{"cap of a name with a *",
			&auth.Claims{
				User: "ann",
				Caps: []auth.Capability{{Channels: []string{"room:*"}, Allow: []auth.Permission{auth.Subscribe}, Exact: true}},
			},
			[3]bool{true, true, false}},
		{"cap without a user",
			&auth.Claims{Caps: []auth.Capability{{Channels: []string{"*"}, Allow: []auth.Permission{auth.Subscribe}}}},
			[3]bool{true, true, true}},
	}
	for _, c := range clients {
		for i, rule := range []channel.Subscribe{channel.SubscribeAnybody, channel.SubscribeAuthenticated,
			channel.SubscribeToken} {
			r := channel.Rule{Subscribe: rule}
			for _, o := range []*Options{{}, {PersonalChannels: true}} {
				require.Equal(t, c.may[i], o.maySubscribe(r, c.client, "room:1", nil), "%s, %s", c.name, rule)
				require.True(t, o.maySubscribe(r, c.client, "room:1", &auth.SubscriptionClaims{}),
					"%s, %s, with a subscription token", c.name, rule)
			}
		}
	}
}

// TestMaySubscribeToUserLimitedChannels subscribes to each name as every user, under every rule.
func TestMaySubscribeToUserLimitedChannels(t *testing.T) {
	users := []string{"", "42", "43", "b", "b#42", "42,43", "a", "a#", "#", ",", " 43", "4", "421", "$a"}
	on, off := &Options{PersonalChannels: true}, &Options{}
	for name, owners := range map[string][]string{
		"#":           nil,
		"#,":          nil,
		"#,,":         nil,
		"a#":          nil,
		"a#42#":       nil,
		"42#":         nil,
		"#42":         {"42"},
		"##42":        {"42"},
		"a#42":        {"42"},
		"a#42,43":     {"42", "43"},
		"a#43,42":     {"42", "43"},
		"a#42,":       {"42"},
		"a#,43":       {"43"},
		"a#42,42":     {"42"},
		"a#42, 43":    {"42", " 43"},
		"a#b#42":      {"42"},
		"a#42,43#b":   {"b"},
		"#b#42":       {"42"},
		"42,43#a":     {"a"},
		"a:b:c#42,b":  {"42", "b"},
		"$a#$a,":      {"$a"},
		"a#042":       nil,
		"a#4 2":       nil,
		"a#*":         nil,
		"$secret#":    nil,
		"$secret#42":  {"42"},
		"#$secret#42": {"42"},
	} {
		for _, rule := range []channel.Subscribe{channel.SubscribeAnybody, channel.SubscribeAuthenticated,
			channel.SubscribeToken} {
			r := channel.Rule{Subscribe: rule}
			private := strings.HasPrefix(name, channel.PrivatePrefix)
			for _, user := range users {
				client := &auth.Claims{User: user}
				want := slices.Contains(owners, user) && (!private || rule != channel.SubscribeToken)
				require.Equal(t, want, on.maySubscribe(r, client, name, nil), "%q to %q, %s", user, name, rule)
				require.True(t, on.maySubscribe(r, client, name, &auth.SubscriptionClaims{}), "with a subscription token")
				named := &auth.Claims{User: user, Channels: []string{name}}
				require.True(t, on.maySubscribe(r, named, name, nil), "named by the client's token")
				require.False(t, on.maySubscribe(r, &auth.Claims{User: "eve", Channels: []string{"#1"}}, name, nil))

				asBefore := rule == channel.SubscribeAnybody || rule == channel.SubscribeAuthenticated && user != ""
				require.Equal(t, asBefore, off.maySubscribe(r, client, name, nil), "the setting is off")
			}
			require.False(t, on.maySubscribe(r, nil, name, nil), "an anonymous client to %q", name)
			require.True(t, on.maySubscribe(r, caps("*", auth.Subscribe), name, nil), "with a capability")
			require.False(t, on.maySubscribe(r, caps("*", auth.Publish), name, nil), "with a capability for something else")
		}
	}
}

// A rule that opens members and history to everybody opens a user-limited channel to its users.
func TestMayReadUserLimitedChannels(t *testing.T) {
	rule := channel.Rule{ReadPresence: channel.ReadAnybody, ReadHistory: channel.ReadAnybody}
	on, off := &Options{PersonalChannels: true}, &Options{}
	for name, c := range map[string]struct {
		client     *auth.Claims
		subscribed bool
		grant      *grant
		may        bool
	}{
		"its user":         {client: &auth.Claims{User: "42"}, may: true},
		"another user":     {client: &auth.Claims{User: "43"}},
		"a part of a user": {client: &auth.Claims{User: "4"}},
		"no user":          {client: &auth.Claims{}},
		"anonymous":        {},
		"a subscriber":     {subscribed: true, may: true},
		"a capability":     {client: caps("*", auth.Presence, auth.History), may: true},
		"a token":          {grant: &grant{allow: []auth.Permission{auth.Presence, auth.History}}, may: true},
	} {
		for _, p := range []auth.Permission{auth.Presence, auth.History} {
			for _, channel := range []string{"#42", "inbox#42", "a#41,42"} {
				err := on.mayRead(rule, p, c.client, channel, c.subscribed, c.grant)
				require.Equal(t, c.may, err == nil, "%s, %s of %s", name, p, channel)
				require.NoError(t, off.mayRead(rule, p, c.client, channel, c.subscribed, c.grant), "the setting is off")
			}
			require.NoError(t, on.mayRead(rule, p, c.client, "42", c.subscribed, c.grant))
		}
	}
}

// Without a # nothing says whose a channel is.
func TestMaySubscribeToChannelsWithoutUsers(t *testing.T) {
	o := &Options{PersonalChannels: true}
	for _, name := range []string{"a", "42", "a,42", "a:42"} {
		require.True(t, o.maySubscribe(channel.Rule{Subscribe: channel.SubscribeAnybody}, nil, name, nil))
		require.False(t, o.maySubscribe(channel.Rule{Subscribe: channel.SubscribeToken}, &auth.Claims{User: "42"}, name, nil))
	}
}

func TestPersonalChannel(t *testing.T) {
	for user, want := range map[string]string{
		"42":                     "#42",
		"ann@example.com":        "#ann@example.com",
		"a b":                    "#a b",
		"*":                      "#*",
		"$":                      "#$",
		"ü":                      "#ü",
		strings.Repeat("u", 254): "#" + strings.Repeat("u", 254),
		strings.Repeat("u", 255): "",
		"":                       "",
		"42,43":                  "",
		"42,":                    "",
		",":                      "",
		"a#42":                   "",
		"#":                      "",
		"#42":                    "",
		"a\nb":                   "",
		"a\x00":                  "",
		"\xff":                   "",
	} {
		name, ok := personalChannel(user)
		require.Equal(t, want != "", ok, "%q", user)
		if ok {
			require.Equal(t, want, name)
		}
	}
}

func TestMayPublish(t *testing.T) {
	allowed, other := &grant{allow: []auth.Permission{auth.Publish}}, &grant{allow: []auth.Permission{auth.History}}
	for _, c := range []struct {
		name       string
		client     *auth.Claims
		subscribed bool
		grant      *grant
		// want holds the results for the rules PublishNobody, PublishSubscribers and PublishAnybody.
		want [3]error
	}{
		{"anonymous", nil, false, nil, [3]error{ErrNotAllowed, ErrNotSubscribed, nil}},
		{"a subscriber", nil, true, nil, [3]error{ErrNotAllowed, nil, nil}},
		{"a user", &auth.Claims{User: "ann"}, false, nil, [3]error{ErrNotAllowed, ErrNotSubscribed, nil}},
		{"a subscribed user", &auth.Claims{User: "ann"}, true, nil, [3]error{ErrNotAllowed, nil, nil}},
		{"a user with the channel", &auth.Claims{User: "ann", Channels: []string{"room:1"}}, false, nil,
			[3]error{ErrNotAllowed, ErrNotSubscribed, nil}},
		{"a cap", caps("room:*", auth.Publish), false, nil, [3]error{nil, nil, nil}},
		{"a cap to subscribe", caps("room:*", auth.Subscribe), false, nil, [3]error{ErrNotAllowed, ErrNotSubscribed, nil}},
		{"a cap elsewhere", caps("hall:*", auth.Publish), true, nil, [3]error{ErrNotAllowed, nil, nil}},
		{"a token that allows it", nil, true, allowed, [3]error{nil, nil, nil}},
		{"a token that allows something else", nil, true, other, [3]error{ErrNotAllowed, nil, nil}},
		{"a token that allows nothing", nil, true, &grant{}, [3]error{ErrNotAllowed, nil, nil}},
	} {
		for i, rule := range []channel.Publish{channel.PublishNobody, channel.PublishSubscribers, channel.PublishAnybody} {
			got := mayPublish(channel.Rule{Publish: rule}, c.client, "room:1", c.subscribed, c.grant)
			require.ErrorIs(t, got, c.want[i], "%s, %s", c.name, rule)
		}
	}
}

// TestMayRead reads "room:1" under every rule as every kind of client. A rule that opens the one does not open the
// other.
func TestMayRead(t *testing.T) {
	for _, c := range []struct {
		name              string
		client            *auth.Claims
		subscribed        bool
		grant             *grant
		history, presence error
	}{
		{"anonymous", nil, false, nil, ErrNotSubscribed, ErrNotSubscribed},
		{"a subscriber", nil, true, nil, nil, nil},
		{"a user", &auth.Claims{User: "ann"}, false, nil, ErrNotSubscribed, ErrNotSubscribed},
		{"a cap for history", caps("room:*", auth.History), false, nil, nil, ErrNotSubscribed},
		{"a cap for presence", caps("room:*", auth.Presence), false, nil, ErrNotSubscribed, nil},
		{"a cap to subscribe", caps("room:*", auth.Subscribe), false, nil, ErrNotSubscribed, ErrNotSubscribed},
		{"a cap elsewhere", caps("hall:*", auth.History, auth.Presence), false, nil, ErrNotSubscribed, ErrNotSubscribed},
		{"a token that allows history", nil, false, &grant{allow: []auth.Permission{auth.History}}, nil, ErrNotSubscribed},
	} {
		for _, readPresence := range []channel.Read{channel.ReadSubscribers, channel.ReadAnybody} {
			for _, readHistory := range []channel.Read{channel.ReadSubscribers, channel.ReadAnybody} {
				rule := channel.Rule{ReadPresence: readPresence, ReadHistory: readHistory}
				history, presence := c.history, c.presence
				if readHistory == channel.ReadAnybody {
					history = nil
				}
				if readPresence == channel.ReadAnybody {
					presence = nil
				}
				read := func(p auth.Permission) error {
					return (&Options{}).mayRead(rule, p, c.client, "room:1", c.subscribed, c.grant)
				}
				require.ErrorIs(t, read(auth.History), history, "%s, %s", c.name, readHistory)
				require.ErrorIs(t, read(auth.Presence), presence, "%s, %s", c.name, readPresence)
			}
		}
	}
}
