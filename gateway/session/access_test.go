package session

import (
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
			require.Equal(t, c.may[i], maySubscribe(r, c.client, "room:1", nil), "%s, %s", c.name, rule)
			require.True(t, maySubscribe(r, c.client, "room:1", &auth.SubscriptionClaims{}), "%s, %s, with a subscription token",
				c.name, rule)
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
		require.ErrorIs(t, mayRead(auth.History, c.client, "room:1", c.subscribed, c.grant), c.history, c.name)
		require.ErrorIs(t, mayRead(auth.Presence, c.client, "room:1", c.subscribed, c.grant), c.presence, c.name)
	}
}
