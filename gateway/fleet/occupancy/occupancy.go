// Package occupancy tells which channels have subscribers in the fleet: when the first comes, when the
// last is gone, and also when the last was on a gateway that is gone without a word. Who has which
// channels is the broker's to know: this package tells it in time, and hands its answers on.
//
// lapse.go asks for the channels of gateways that are gone.
package occupancy

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/fleet/lease"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Directory is where all gateways say which channels have subscribers with them.
type Directory interface {
	Occupy(ctx context.Context, channels []string, ttl time.Duration) (occupied []string, err error)
	Vacate(ctx context.Context, channels []string) (vacated []string, err error)
	VacateExpired(ctx context.Context, ttl time.Duration) (vacated []string, err error)
}

// Options are what a Keeper is made of.
type Options struct {
	Directory Directory
	// TTL is how long the channels of a gateway that is gone count as occupied: lease.TTL when it is 0.
	TTL time.Duration
	// Occupied and Vacated are told of channels, one call after the other. They must not block.
	Occupied, Vacated func(channels []string)
	// Crowded says that news of gateways that are gone had better wait.
	Crowded func() bool
	Logger  *slog.Logger
}

// Keeper is safe for use by many goroutines. Run it.
type Keeper struct {
	options  Options
	roster   *lease.Roster
	warnings *ratelog.Limiter
	// turn has room for one: who asks the directory, until its answer is told. So what is told last of a
	// channel is what holds.
	turn chan struct{}
}

// New returns a keeper without channels.
func New(o Options) *Keeper {
	if o.TTL == 0 {
		o.TTL = lease.TTL
	}
	k := &Keeper{options: o, warnings: ratelog.New(o.Logger), turn: make(chan struct{}, 1)}
	k.roster = lease.New(lease.Options{Hold: k.occupy, LetGo: k.vacate, TTL: o.TTL, Logger: o.Logger})
	return k
}

// Appeared is a channel's first subscriber on this gateway, Vanished the leave of its last.
func (k *Keeper) Appeared(channel string) { k.roster.Want(channel) }

// Vanished undoes Appeared.
func (k *Keeper) Vanished(channel string) { k.roster.Unwant(channel) }

// Withdraw takes all channels of this gateway back and waits until that is told, or until the context
// ends. It needs Run.
func (k *Keeper) Withdraw(ctx context.Context) error { return k.roster.Withdraw(ctx) }

// Run keeps the directory right until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return k.roster.Run(ctx) })
	group.Go(func() error { return k.lapsing(ctx) })
	return group.Wait()
}

// occupy tells the fleet which channels have subscribers here, and the backend which had none.
func (k *Keeper) occupy(ctx context.Context, channels []string) error {
	return k.ask(ctx, k.options.Occupied, func() ([]string, error) {
		return k.options.Directory.Occupy(ctx, channels, k.options.TTL)
	})
}

// vacate is its opposite.
func (k *Keeper) vacate(ctx context.Context, channels []string) error {
	return k.ask(ctx, k.options.Vacated, func() ([]string, error) {
		return k.options.Directory.Vacate(ctx, channels)
	})
}

// ask tells what the directory answers, also what comes with an error: nobody else is told of that.
func (k *Keeper) ask(ctx context.Context, tell func([]string), question func() ([]string, error)) error {
	select {
	case k.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-k.turn }()
	channels, err := question()
	tell(channels)
	return err
}
