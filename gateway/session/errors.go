package session

import (
	"errors"
	"fmt"
)

// What a client can get wrong, or meet.
var (
	ErrChannelName   = errors.New("channel name must be 1 to 255 bytes of UTF-8 without control characters")
	ErrSubscribed    = errors.New("already subscribed")
	ErrNotSubscribed = errors.New("only subscribers may do that in this channel")
	// ErrSubscriptionEnded is returned when a subscription, or its session, was ended while the subscription was being
	// made: by the server API, by its expiry, or by the end of the connection.
	ErrSubscriptionEnded = errors.New("the subscription ended before it began")
	ErrTooManyChannel    = errors.New("too many channels on one connection")
	ErrNotAllowed        = errors.New("not allowed in this channel")
	ErrNotAvailable      = errors.New("not available in this channel: its rule does not say so")
	ErrNoBackend         = errors.New("not available on this gateway")
	// ErrInfo is the backend's doing, not the client's.
	ErrInfo          = errors.New("the backend's info is too large")
	ErrUnrecoverable = errors.New("the stream has no such position")
	ErrLimit         = errors.New("limit exceeded")
	// ErrTooManyMembers is an ErrLimit.
	ErrTooManyMembers = fmt.Errorf("%w: too many are present to name them all; use presence_stats", ErrLimit)
	// ErrUnauthorized is a client without a token where one is needed.
	ErrUnauthorized = errors.New("a token is needed to connect")
	// ErrInvalidToken is final, ErrExpiredToken wants another one.
	ErrInvalidToken = errors.New("invalid token")
	ErrExpiredToken = errors.New("token expired")
)
