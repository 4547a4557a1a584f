// Package occupancy reports which channels have subscribers anywhere in the fleet: when a channel gets its first
// subscriber (occupied), and when it loses its last (vacated), also when that was on a gateway that crashed.
//
// The broker's directory decides which channels are occupied. This package keeps this gateway's channels registered
// there with a lease.Set and passes the directory's answers on. Package gateway connects it: the hub calls
// FirstSubscriber and LastUnsubscribed, and the webhook sends what Options.Occupied and Options.Vacated receive.
package occupancy

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/lease"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Options configure a Tracker.
type Options struct {
	Directory broker.Occupancy
	// TTL is how long the channels of a crashed gateway stay occupied. 0 means lease.TTL.
	TTL time.Duration
	// Occupied is called with channels that got their first subscriber in the fleet. Occupied and Vacated are never
	// called at the same time, and must not block.
	Occupied func(channels []string)
	// Vacated is called with channels that lost their last subscriber in the fleet.
	Vacated func(channels []string)
	// Backpressure reports whether channels of crashed gateways should wait in the directory for now, because there is
	// much to send already.
	Backpressure func() bool
	Logger       *slog.Logger
}

// Tracker registers the channels of this gateway and reports which channels became occupied or vacated. Run must be
// running. A Tracker is safe for use by many goroutines.
type Tracker struct {
	options  Options
	leases   *lease.Set
	warnings *ratelog.Limiter
	// serial is a lock with room for one token. It is held from a call to the directory until its answer has been
	// reported, so that the last report about a channel is the one that holds.
	serial chan struct{}
}

// New returns a Tracker without channels.
func New(o Options) *Tracker {
	if o.TTL == 0 {
		o.TTL = lease.TTL
	}
	t := &Tracker{options: o, warnings: ratelog.New(o.Logger), serial: make(chan struct{}, 1)}
	t.leases = lease.New(lease.Options{
		Register:   t.occupy,
		Deregister: t.vacate,
		TTL:        o.TTL,
		Logger:     o.Logger,
	})
	return t
}

// FirstSubscriber registers a channel that got its first subscriber on this gateway. It does not wait for the
// directory.
func (t *Tracker) FirstSubscriber(channel string) { t.leases.Add(channel) }

// LastUnsubscribed removes a channel that lost its last subscriber on this gateway. It does not wait for the directory.
func (t *Tracker) LastUnsubscribed(channel string) { t.leases.Remove(channel) }

// Withdraw removes all channels of this gateway and blocks until the answers have been reported. It returns ctx.Err()
// when ctx ends first.
func (t *Tracker) Withdraw(ctx context.Context) error { return t.leases.Withdraw(ctx) }

// Run keeps the directory in step with this gateway's channels and expires those of crashed gateways. It blocks until
// ctx ends and returns nil.
func (t *Tracker) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return t.leases.Run(ctx) })
	group.Go(func() error { return t.expire(ctx) })
	return group.Wait()
}

// occupy registers channels and reports those that no gateway had. It returns the directory's error, or ctx.Err().
func (t *Tracker) occupy(ctx context.Context, channels []string) error {
	return t.callAndReport(ctx, t.options.Occupied, func() ([]string, error) {
		return t.options.Directory.Occupy(ctx, channels, t.options.TTL)
	})
}

// vacate removes channels and reports those that no gateway has any more. It returns the directory's error, or
// ctx.Err().
func (t *Tracker) vacate(ctx context.Context, channels []string) error {
	return t.callAndReport(ctx, t.options.Vacated, func() ([]string, error) {
		return t.options.Directory.Vacate(ctx, channels)
	})
}

// callAndReport calls the directory and reports its answer. The part of an answer that comes with an error is reported
// too, because no other gateway gets it. It returns the error of call, or ctx.Err() when ctx ends first.
func (t *Tracker) callAndReport(ctx context.Context, report func([]string), call func() ([]string, error)) error {
	select {
	case t.serial <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-t.serial }()
	channels, err := call()
	report(channels)
	return err
}
