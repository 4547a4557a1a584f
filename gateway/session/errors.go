package session

import (
	"errors"
	"fmt"
)

// Errors of what clients ask for. Their texts are shown to the client's developer.
var (
	// ErrChannelName is returned for a name that channel.ValidName refuses.
	ErrChannelName = errors.New("channel name must be 1 to 255 bytes of UTF-8 without control characters")
	// ErrSubscribed is returned to a client that subscribes to a channel a second time.
	ErrSubscribed = errors.New("already subscribed")
	// ErrNotSubscribed is returned to a client that does without a subscription what only subscribers may do.
	ErrNotSubscribed = errors.New("only subscribers may do that in this channel")
	// ErrSubscriptionEnded is returned when a subscription, or its session, was ended while the subscription was being
	// made: by the server API, by its expiry, or by the end of the connection.
	ErrSubscriptionEnded = errors.New("the subscription ended before it began")
	// ErrTooManyFilters is returned when a session has maxFilters subscriptions with a filter.
	ErrTooManyFilters = errors.New("too many filters on one connection")
	// ErrTooManyChannels is returned when a session has Options.MaxChannels subscriptions.
	ErrTooManyChannels = errors.New("too many channels on one connection")
	// ErrNotAllowed is returned when neither the channel's rule nor a token allows what the client asks for.
	ErrNotAllowed = errors.New("not allowed in this channel")
	// ErrNotAvailable is returned when the channel's rule keeps no history or no presence, or allows no filter.
	ErrNotAvailable = errors.New("not available in this channel: its rule does not say so")
	// ErrNoBackend is returned for a call when no rpc hook is configured.
	ErrNoBackend = errors.New("not available on this gateway")
	// ErrInfoTooLarge is returned when a hook answers with an info of more than auth.MaxInfo bytes.
	ErrInfoTooLarge = errors.New("the backend's info is too large")
	// ErrLimit is returned when a client asks for more than it may get at once.
	ErrLimit = errors.New("limit exceeded")
	// ErrTooManyMembers is the ErrLimit of a channel whose presence exceeds Options.MaxHistoryBytes.
	ErrTooManyMembers = fmt.Errorf("%w: too many are present to name them all; use presence_stats", ErrLimit)
	// ErrUnauthorized is returned to a client without a token where one is needed.
	ErrUnauthorized = errors.New("a token is needed to connect")
	// ErrInvalidToken is returned for a token that will never be accepted, and for a revoked one.
	ErrInvalidToken = errors.New("invalid token")
	// ErrExpiredToken is returned for a token that was valid: the client should get another.
	ErrExpiredToken = errors.New("token expired")
)
