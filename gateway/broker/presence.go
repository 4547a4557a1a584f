package broker

import (
	"context"
	"time"
)

// PresenceReader reads the members of channels.
type PresenceReader interface {
	// Members returns the members of a channel by client ID, without those that have expired. It returns ErrTooLarge
	// when their SizeOfMember adds up to more than about maxBytes; 0 is no bound. It returns ErrUnavailable when the
	// broker cannot be reached.
	Members(ctx context.Context, channel string, maxBytes int) (map[string]ClientInfo, error)
	// PresenceStats returns the number of clients and of distinct users among them, in a time that does not grow with
	// these numbers. All clients without a user count as one user. It returns ErrUnavailable when the broker cannot be
	// reached.
	PresenceStats(ctx context.Context, channel string) (clients, users int, err error)
}

// Presence keeps the members of channels, on all gateways. A member is a client; its ID is the key. Members expire
// unless the gateway that holds the connection renews them, so the members of a gateway that is killed disappear.
//
// The calls that change a channel's members also remove the members that have expired and return them as expired.
// Every expired member is returned to exactly one caller, which publishes the leave.
type Presence interface {
	PresenceReader
	// Join adds a member for a TTL, or renews it. fresh is false when the client was a member already, and when it
	// replaces a member of the same user whose grace was not over: then there is no join to publish. It returns
	// ErrUnavailable when the broker cannot be reached.
	Join(ctx context.Context, channel string, m ClientInfo,
		ttl time.Duration) (fresh bool, expired []ClientInfo, err error)
	// Leave removes a member. With a grace, and if the member has a user, the member stays for the grace in case its user
	// comes back: then left is false, and Sweep returns the member when the grace is over. left is true when the client
	// was a member and is not any more. It returns ErrUnavailable when the broker cannot be reached.
	Leave(ctx context.Context, channel string, m ClientInfo,
		grace time.Duration) (left bool, expired []ClientInfo, err error)
	// Renew gives members of this gateway another TTL. missing are the clients that are not members any more: the caller
	// joins them again. A member in its grace counts as missing and keeps its grace. When the broker cannot be reached
	// for a part of the clients, Renew returns ErrUnavailable together with the results of the others.
	Renew(ctx context.Context, channel string, clients []string,
		ttl time.Duration) (missing []string, expired []ClientInfo, err error)
	// Sweep removes and returns members that have expired. It returns ErrUnavailable when the broker cannot be reached.
	Sweep(ctx context.Context, channel string) (expired []ClientInfo, err error)
}
