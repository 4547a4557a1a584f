package broker

import (
	"context"
	"time"
)

// Presence is who is in a channel, on all gateways. A member is a client: its id is the key. Members
// have a time to live, which the gateway that holds them renews: a gateway that is killed takes its
// members with it when that is over.
//
// The calls that change a channel's members also take out those whose time is over, and return them
// as gone: exactly one caller gets each, and tells the channel that it left.
type Presence interface {
	// Join adds a member for a time to live, or renews what is known of it. It is fresh unless it was a
	// member already, or a member of the same user had left and its grace was not over: that one is
	// replaced, and nobody needs to be told.
	Join(ctx context.Context, channel string, m ClientInfo, ttl time.Duration) (fresh bool, gone []ClientInfo, err error)
	// Leave takes a member out. With a grace, and a user, it stays a member for so long in case its user
	// comes back: then left is false, and Sweep finds it when the grace is over. left is true when it
	// was a member and is none any more.
	Leave(ctx context.Context, channel string, m ClientInfo, grace time.Duration) (left bool, gone []ClientInfo, err error)
	// Renew gives members of this gateway another time to live. Those that are not members any more are
	// missing: Join them again.
	Renew(ctx context.Context, channel string, clients []string, ttl time.Duration) (missing []string, gone []ClientInfo, err error)
	// Sweep only takes out whose time is over.
	Sweep(ctx context.Context, channel string) (gone []ClientInfo, err error)
	// Members are all members, by client, or ErrTooLarge when they take more than so many bytes, by about
	// their SizeOfMember. 0: any number.
	Members(ctx context.Context, channel string, bytes int) (map[string]ClientInfo, error)
	// PresenceStats counts clients, and distinct users among them, in a time that does not grow with
	// their number. Clients without a user count as one user.
	PresenceStats(ctx context.Context, channel string) (clients, users int, err error)
}
