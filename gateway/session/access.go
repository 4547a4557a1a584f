package session

import (
	"slices"
	"strings"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// A channel's rule says what every client may do there. The channels and caps of a connection token and the allow list
// of a subscription token add to it. A client that the server subscribed may read. With Options.PersonalChannels the
// name of a channel may say which users may subscribe, and the rule opens it to no others.

// usersMark stands before the users to whom a user-limited channel belongs, usersSeparator between them.
const (
	usersMark      = "#"
	usersSeparator = ","
)

// maySubscribe reports whether a client may subscribe by itself. token holds the claims of its valid subscription token
// for this channel, or is nil.
func (o *Options) maySubscribe(
	rule channel.Rule, client *auth.Claims, name string, token *auth.SubscriptionClaims,
) bool {
	switch {
	case token != nil:
		return true
	case o.isOthers(client, name):
		return client.Allows(auth.Subscribe, name)
	case o.isUserLimited(name) && !strings.HasPrefix(name, channel.PrivatePrefix):
		return true
	}
	// A private channel needs a token, unless its rule opens it, also for the users that its name names.
	switch rule.Subscribe {
	case channel.SubscribeAnybody:
		return true
	case channel.SubscribeAuthenticated:
		return client != nil && (client.User != "" || client.Allows(auth.Subscribe, name))
	default:
		return client.Allows(auth.Subscribe, name)
	}
}

// isUserLimited reports whether the name of a channel says to whom the channel belongs.
func (o *Options) isUserLimited(name string) bool {
	return o.PersonalChannels && strings.Contains(name, usersMark)
}

// isOthers reports whether a channel belongs to users and the client is none of them.
func (o *Options) isOthers(client *auth.Claims, name string) bool {
	return o.isUserLimited(name) && (client == nil || !belongsTo(name, client.User))
}

// belongsTo reports whether a user is one of those behind the last usersMark of a channel's name. The users are
// compared byte by byte, and an empty one names no user. A user with a usersMark or a usersSeparator is never named:
// the name that would be its own is that of other users.
func belongsTo(name, user string) bool {
	if user == "" {
		return false
	}
	users := name[strings.LastIndex(name, usersMark)+len(usersMark):]
	for named := range strings.SplitSeq(users, usersSeparator) {
		if named == user {
			return true
		}
	}
	return false
}

// personalChannel returns the name of a user's personal channel. ok is false for a user that has none: the name would
// be no valid one, or another user's channel.
func personalChannel(user string) (name string, ok bool) {
	name = usersMark + user
	return name, channel.ValidName(name) && belongsTo(name, user)
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
// otherwise. A rule opens a user-limited channel to its users only.
func (o *Options) mayRead(
	rule channel.Rule, p auth.Permission, client *auth.Claims, name string, subscribed bool, g *grant,
) error {
	readers := rule.ReadPresence
	if p == auth.History {
		readers = rule.ReadHistory
	}
	switch {
	case subscribed, readers == channel.ReadAnybody && !o.isOthers(client, name):
		return nil
	case g != nil && slices.Contains(g.allow, p), client.Allows(p, name):
		return nil
	}
	return ErrNotSubscribed
}
