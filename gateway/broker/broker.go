// Package broker says what carries publications between gateways. The gateway above it does not
// know whether that is this process's memory or Redis.
package broker

import (
	"context"
	"errors"

	"github.com/wsfleet/wsfleet/gateway/contract"
)

// Publication is one message in a channel.
type Publication struct {
	Data []byte
	// Binary tells a binary frame from a text frame.
	Binary bool
}

// Deliver takes a publication to the local subscribers. It never blocks on one of them. Calls for
// one channel come one after another, in the broker's order.
type Deliver func(channel string, p Publication)

// Broker carries publications from any gateway to all that subscribed to the channel.
type Broker interface {
	// Kind is the broker's name in configuration and reports.
	Kind() string
	// Publish returns when the broker has taken the publication. ErrUnavailable means that it has
	// not, or that nobody knows.
	Publish(ctx context.Context, channel string, p Publication) error
	// Subscribe asks for a channel's publications and returns at once. confirmed is called when
	// everything published from then on will be delivered. A broker that is away keeps the wish, until
	// Unsubscribe.
	Subscribe(channel string, confirmed func())
	Unsubscribe(channel string)
	Status() Status
	// Run keeps the broker going until the context ends.
	Run(ctx context.Context) error
}

// Status is whether messages flow. Err says why not; it holds no secret.
type Status struct {
	State contract.BrokerState
	Err   error
}

// ErrUnavailable is what callers of a broker that is away get.
var ErrUnavailable = errors.New("broker unavailable")
