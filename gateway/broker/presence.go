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

// Joined is what Presence.Join did.
type Joined int

const (
	// JoinRenewed says that the client was a member already: there is no join to publish.
	JoinRenewed Joined = iota
	// JoinAdded says that the client was no member.
	JoinAdded
	// JoinReplaced says that the client was no member, and that a lost connection of the same user has expired: one whose
	// grace the join has ended, or one that was not returned yet. The caller calls Sweep and publishes its leave before
	// the join.
	JoinReplaced
)

// Presence keeps the members of channels, on all gateways. A member is a client; its ID is the key. Members expire
// unless the gateway that holds the connection renews them, so the members of a gateway that is killed disappear.
//
// Leave, Renew and Sweep also remove the members that have expired and return them as gone. Every member that is gone
// is returned to exactly one caller, which publishes the leave at once.
type Presence interface {
	PresenceReader
	// Join adds a member for a TTL, or renews it. A new member ends the grace of one member of the same user, in whose
	// place it comes. It returns ErrUnavailable when the broker cannot be reached.
	Join(ctx context.Context, channel string, m ClientInfo, ttl time.Duration) (Joined, error)
	// Leave removes a member. With a grace, and if the member has a user, the member stays for the grace in case its user
	// comes back: then left is false, and Sweep returns the member when the grace is over. left is true when the client
	// was a member and is not any more. It returns ErrUnavailable when the broker cannot be reached.
	Leave(ctx context.Context, channel string, m ClientInfo,
		grace time.Duration) (left bool, gone []ClientInfo, err error)
	// Renew gives members of this gateway another TTL. missing are the clients that are not members any more: the caller
	// joins them again. A member in its grace counts as missing and keeps its grace. When the broker cannot be reached
	// for a part of the clients, Renew returns ErrUnavailable together with the results of the others.
	Renew(ctx context.Context, channel string, clients []string,
		ttl time.Duration) (missing []string, gone []ClientInfo, err error)
	// Sweep removes and returns members that have expired. It returns ErrUnavailable when the broker cannot be reached.
	Sweep(ctx context.Context, channel string) (gone []ClientInfo, err error)
}
