// Package presence keeps the members that this gateway holds present in their channels, and tells
// channels who came and who went. What the members are is the broker's to know: this package calls it
// in time, and hands its answers on.
//
// arrive.go lets members come, turns.go keeps what concerns one client in one channel in its order,
// renew.go renews and sweeps.
package presence

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Times and bounds that nobody has had a reason to change.
const (
	// renewals is how many renewals fit into one time to live: one may fail.
	renewals = 3
	// renewedAtOnce is how many members one call renews.
	renewedAtOnce = 500
	sweepTick     = 500 * time.Millisecond
	sweepRetry    = 5 * time.Second
	callTimeout   = 5 * time.Second
	// leavers is how many leaves are under way at once; a crowd that leaves together waits in line.
	leavers = 16
	// renewers is how many channels are renewed at once.
	renewers = 8
	// slack lets the broker's clock see a grace as over when ours does.
	slack = 100 * time.Millisecond
)

// Member is a client that others can see.
type Member interface {
	// Presence is what they see of it in a channel; false when it has left that.
	Presence(channel string) (broker.ClientInfo, bool)
}

// Options are what a Keeper is made of.
type Options struct {
	Broker broker.Broker
	Hub    *hub.Hub
	// TTL is how long a member stays when its gateway is gone, Grace how long one stays whose connection
	// is.
	TTL, Grace time.Duration
	Logger     *slog.Logger
}

// Keeper is safe for use by many goroutines. Run it.
type Keeper struct {
	options  Options
	warnings *ratelog.Limiter
	turns    turns

	mu sync.Mutex
	// sweeps is when a channel may have a member whose grace is over.
	sweeps map[string]time.Time
}

// New returns a keeper.
func New(o Options) *Keeper {
	return &Keeper{options: o, warnings: ratelog.New(o.Logger), turns: newTurns(), sweeps: map[string]time.Time{}}
}

// Leave takes a member out, at once when it said so, or in a while when its connection was lost. It
// returns before that is done.
func (k *Keeper) Leave(channel string, m broker.ClientInfo, said bool) {
	l := leave{info: m, grace: k.options.Grace}
	if said {
		l.grace = 0
	}
	k.turns.leave(seat{channel, m.Client}, l)
}

// Flush waits until all who left are out, or until the context ends.
func (k *Keeper) Flush(ctx context.Context) error {
	select {
	case <-k.turns.settled():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run renews members and takes out who left, until the context ends.
func (k *Keeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range leavers {
		group.Go(func() error { return k.taking(ctx) })
	}
	group.Go(func() error { return k.renewing(ctx) })
	group.Go(func() error { return k.sweeping(ctx) })
	err := group.Wait()
	k.turns.end()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// taking takes out one after the other who left.
func (k *Keeper) taking(ctx context.Context) error {
	for {
		who, l, ok := k.turns.next(ctx)
		if !ok {
			return ctx.Err()
		}
		k.takeOut(ctx, who.channel, l)
		k.turns.left(who)
	}
}

func (k *Keeper) takeOut(ctx context.Context, channel string, l leave) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	left, gone, err := k.options.Broker.Leave(ctx, channel, l.info, l.grace)
	if err != nil {
		// Its time to live ends it.
		k.warn(err)
		return
	}
	switch {
	case left && !l.untold:
		k.tell(ctx, channel, broker.KindLeave, l.info)
	case !left && l.grace > 0:
		k.sweepAt(channel, time.Now().Add(l.grace+slack))
	}
	k.gone(ctx, channel, gone)
}

func (k *Keeper) gone(ctx context.Context, channel string, members []broker.ClientInfo) {
	for _, m := range members {
		k.tell(ctx, channel, broker.KindLeave, m)
	}
}

// tell publishes a join or a leave, where the channel's rule wants that. It does so also for who does
// not wait any more: nobody else will.
func (k *Keeper) tell(ctx context.Context, channel string, kind broker.Kind, m broker.ClientInfo) {
	if !k.options.Hub.Rule(channel).JoinLeave {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	_, err := k.options.Broker.Publish(ctx, channel, broker.Publication{Kind: kind, Info: &m}, broker.PublishOptions{})
	k.warn(err)
}

// warn logs that presence may be wrong for a while because of err, unless err is nil.
func (k *Keeper) warn(err error) { k.warnings.WarnError("presence is behind", err) }
