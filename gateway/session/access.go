package session

import (
	"slices"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Who may do what. A channel's rule says what everybody may, a connection token's channels and caps
// and a subscription's token add to it. A client that the server has subscribed may read.

// maySubscribe says whether a client may subscribe by itself. ticket is its valid subscription token
// for this channel, or nil.
func maySubscribe(rule channel.Rule, who *auth.Claims, name string, ticket *auth.SubscriptionClaims) bool {
	if ticket != nil {
		return true
	}
	switch rule.Subscribe {
	case channel.SubscribeAnybody:
		return true
	case channel.SubscribeAuthenticated:
		return who != nil && (who.User != "" || who.Allows(auth.Subscribe, name))
	default:
		return who.Allows(auth.Subscribe, name)
	}
}

// mayPublish says whether a client may publish. t is nil unless it is subscribed with terms.
func mayPublish(rule channel.Rule, who *auth.Claims, name string, subscribed bool, t *terms) error {
	switch {
	case t != nil && slices.Contains(t.allow, auth.Publish), who.Allows(auth.Publish, name):
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

// mayRead says whether a client may read what is kept of a channel: its history or its presence.
func mayRead(p auth.Permission, who *auth.Claims, name string, subscribed bool, t *terms) error {
	if subscribed || t != nil && slices.Contains(t.allow, p) || who.Allows(p, name) {
		return nil
	}
	return ErrNotSubscribed
}
