package broker

import (
	"context"
	"time"
)

// Directory is which gateways there are, which users they hold, and their way to each other. A
// gateway's name here is its instance: it changes with every start, so that nobody takes a restarted
// gateway for the one before.
type Directory interface {
	// Announce makes this gateway known for a time to live, with what it says of itself.
	Announce(ctx context.Context, about []byte, ttl time.Duration) error
	// Withdraw undoes Announce.
	Withdraw(ctx context.Context) error
	// Gateways are all that are known, with what they say of themselves, by instance.
	Gateways(ctx context.Context) (map[string][]byte, error)
	// Send sends a message to a gateway. reached is false when it is certain that nobody got it.
	Send(ctx context.Context, instance string, message []byte) (reached bool, err error)

	// Register says that this gateway has connections of these users, for a time to live; Deregister that it has
	// none any more.
	Register(ctx context.Context, users []string, ttl time.Duration) error
	Deregister(ctx context.Context, users []string) error
	// Lookup returns the gateways that have connections of a user.
	Lookup(ctx context.Context, user string) ([]string, error)

	// Revoke makes a user's tokens worthless that were issued at a time or before; a later revocation
	// wins. It is kept for RevocationTTL.
	Revoke(ctx context.Context, user string, until time.Time) error
	// Revoked is that time, or the zero time.
	Revoked(ctx context.Context, user string) (time.Time, error)

	// Occupy says that this gateway has subscribers of these channels, for a time to live, and returns
	// those that no gateway had any of before.
	Occupy(ctx context.Context, channels []string, ttl time.Duration) (occupied []string, err error)
	// Vacate says that it has none any more, and returns those that no gateway has any of now.
	Vacate(ctx context.Context, channels []string) (vacated []string, err error)
	// VacateExpired returns channels whose gateways are all gone without Vacate: the time to live of each,
	// which is that of Occupy, is over. Every channel is returned once, to whichever gateway asks first,
	// unless it is occupied again before. It returns so many at most, and nothing once there are no more.
	// While the broker was away nobody could renew: it returns nothing before gateways have asked for half a
	// time to live, with no break longer than a quarter. A gateway that is alone has no others that could be
	// gone: its broker returns nothing.
	VacateExpired(ctx context.Context, ttl time.Duration) (vacated []string, err error)
}

// RevocationTTL is how long a revocation is remembered. Tokens must not live longer.
const RevocationTTL = 366 * 24 * time.Hour
