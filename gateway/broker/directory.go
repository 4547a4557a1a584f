package broker

import (
	"context"
	"time"
)

// GatewayDirectory lists the gateways of the fleet and sends messages to them. A gateway's name here is its instance,
// which changes with every start, so that a restarted gateway is not taken for its predecessor.
type GatewayDirectory interface {
	// Announce lists this gateway for a TTL, with a description. It returns ErrUnavailable when the broker cannot be
	// reached.
	Announce(ctx context.Context, description []byte, ttl time.Duration) error
	// Withdraw removes this gateway from the list. It returns ErrUnavailable when the broker cannot be reached.
	Withdraw(ctx context.Context) error
	// Gateways returns the description of every listed gateway by instance. It returns ErrUnavailable when the broker
	// cannot be reached.
	Gateways(ctx context.Context) (map[string][]byte, error)
	// Send sends a message to the MessageHandler of a gateway. reached is false when it is certain that the gateway did
	// not get it. Send does not wait for the handler, and returns ErrUnavailable when the broker cannot be reached.
	Send(ctx context.Context, instance string, message []byte) (reached bool, err error)
}

// UserDirectory knows which gateways have connections of a user.
type UserDirectory interface {
	// Register records for a TTL that this gateway has connections of these users. It returns ErrUnavailable when the
	// broker cannot be reached; a part of the users may be recorded then.
	Register(ctx context.Context, users []string, ttl time.Duration) error
	// Deregister records that this gateway has no connections of these users. It returns ErrUnavailable when the broker
	// cannot be reached; a part of the users may be removed then.
	Deregister(ctx context.Context, users []string) error
	// Lookup returns the instances of the gateways that have connections of a user. It returns ErrUnavailable when the
	// broker cannot be reached.
	Lookup(ctx context.Context, user string) (instances []string, err error)
}

// Directory knows the gateways of the fleet and the users that are connected to them.
type Directory interface {
	GatewayDirectory
	UserDirectory
}

// MessageHandler takes the messages that gateways send to this one. The RPC between gateways implements it.
type MessageHandler interface {
	// OnMessage takes one message, of another gateway or of this one. It must not block, and may keep the bytes.
	OnMessage(message []byte)
}
