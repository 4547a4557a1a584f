package broker

import (
	"context"
	"time"
)

// Revocations keeps the times up to which the tokens of users are revoked.
type Revocations interface {
	// Revoke revokes the tokens of a user that were issued at a time or before, for RevocationTTL. Of two revocations
	// the later time counts. Times are rounded down to microseconds. It returns ErrUnavailable when the broker cannot be
	// reached.
	Revoke(ctx context.Context, user string, until time.Time) error
	// Revoked returns the time up to which a user's tokens are revoked, or the zero time. It returns ErrUnavailable when
	// the broker cannot be reached.
	Revoked(ctx context.Context, user string) (until time.Time, err error)
}

// RevocationTTL is how long a revocation is kept. Tokens must not live longer.
const RevocationTTL = 366 * 24 * time.Hour
