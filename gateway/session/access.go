package session

import (
	"slices"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// A channel's rule says what every client may do there. The channels and caps of a connection token and the allow list
// of a subscription token add to it. A client that the server subscribed may read.

// maySubscribe reports whether a client may subscribe by itself. token holds the claims of its valid subscription token
// for this channel, or is nil.
func maySubscribe(rule channel.Rule, client *auth.Claims, name string, token *auth.SubscriptionClaims) bool {
	if token != nil {
		return true
	}
	switch rule.Subscribe {
	case channel.SubscribeAnybody:
		return true
	case channel.SubscribeAuthenticated:
		return client != nil && (client.User != "" || client.Allows(auth.Subscribe, name))
	default:
		return client.Allows(auth.Subscribe, name)
	}
}

// mayPublish returns nil when a client may publish, and ErrNotAllowed or ErrNotSubscribed otherwise. g is the grant of
// its subscription, or nil.
func mayPublish(rule channel.Rule, client *auth.Claims, name string, subscribed bool, g *grant) error {
	switch {
	case g != nil && slices.Contains(g.allow, auth.Publish), client.Allows(auth.Publish, name):
		return nil
	case rule.Publish == channel.PublishAnybody:
		return nil
	case rule.Publish == channel.PublishNobody:
		return ErrNotAllowed
	case !subscribed:
		return ErrNotSubscribed
	}
	return nil
}

// mayRead returns nil when a client may read the history or the presence of a channel, as p says, and ErrNotSubscribed
// otherwise.
func mayRead(p auth.Permission, client *auth.Claims, name string, subscribed bool, g *grant) error {
	if subscribed || g != nil && slices.Contains(g.allow, p) || client.Allows(p, name) {
		return nil
	}
	return ErrNotSubscribed
}
