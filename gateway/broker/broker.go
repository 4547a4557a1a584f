// Package broker declares what a broker does for the gateways of a fleet: it carries publications and messages between
// them and keeps the state that they share. The parts of the gateway use the interfaces here; the packages memory and
// redis implement them, and which one runs is the configuration's choice.
//
// Each interface is one capability, so that a part of the gateway takes only what it needs: PubSub and History (hub,
// session, control), Presence (presence), Directory (registry, rpc, control), Revocations (session, control), Occupancy
// (occupancy).
//
// To add a broker: implement Broker in a package beside memory and redis that passes brokertest.Run in its tests; name
// it in internal/contract (Broker...) and gateway/config (settings.go); add it to the table in
// gateway/brokers.go.
package broker

import (
	"context"
	"errors"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Broker is all that a broker does. Its methods are safe for use by many goroutines. Calls with a context return
// ErrUnavailable at the latest when the context ends.
type Broker interface {
	// Kind returns the broker's name in configuration and reports.
	Kind() string
	// Status reports whether messages flow. It does no I/O.
	Status() Status
	// Run carries publications and messages to their handlers until the context ends, and then returns nil; it returns
	// an error when the broker cannot go on. The caller calls it once. Subscriptions that were made before are confirmed
	// once Run has the handlers. messages may be nil: then messages are dropped.
	Run(ctx context.Context, publications PublicationHandler, messages MessageHandler) error

	PubSub
	History
	Presence
	Directory
	Revocations
	Occupancy
}

// Status is whether messages flow between this gateway and the others.
type Status struct {
	State contract.BrokerState
	// Reason says why State is not ready. It is empty when State is ready.
	Reason contract.BrokerReason
	// Err is the error behind Reason, for people. It holds no secret.
	Err error
}

var (
	// ErrUnavailable is returned while the broker cannot be reached or does not answer in time.
	ErrUnavailable = errors.New("broker unavailable")
	// ErrIdempotencyConflict is returned when an idempotency key was used before with another publication.
	ErrIdempotencyConflict = errors.New("the idempotency key was used with other data")
	// ErrTooLarge is returned instead of an answer that would take more bytes than the caller allows.
	ErrTooLarge = errors.New("the answer is too large")
	// ErrUnrecoverable is returned by users of a History for a position that the stream cannot be continued from.
	ErrUnrecoverable = errors.New("unrecoverable position")
)
