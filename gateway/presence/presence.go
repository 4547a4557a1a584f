// Package presence keeps the clients of this gateway present in their channels: it registers a client that subscribes
// as a member at the broker, renews it while it is connected, removes it when it leaves, and publishes joins and leaves
// in the channels whose rule wants them. The session joins and leaves, and the gateway runs a Keeper. The broker holds
// the members of all gateways; this package calls it in time and passes its answers on.
//
// The files in reading order:
//
//   - presence.go: the Keeper, its options, and how a member leaves.
//   - join.go: how a member joins, in two steps.
//   - renew.go: renewing members, and bringing back those that the broker has lost.
//   - sweep.go: looking for members whose grace is over.
//   - serializer.go: the keyed serializer, which runs the calls for one client in one channel one after the other.
//
// The locks: serializer.mu guards the serializer, and Keeper.mu guards the sweeps. Neither is held during a call of the
// broker, and no goroutine holds both.
package presence

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/internal/ratelog"
	"github.com/wsfleet/wsfleet/internal/timeout"
)

const (
	// renewalsPerTTL is how often a member is renewed within its time to live, so that one renewal may fail.
	renewalsPerTTL = 3
	// maxRenewBatch is the maximum number of members that one call renews.
	maxRenewBatch = 500
	// sweepInterval is how often the Keeper looks for channels to sweep.
	sweepInterval = 500 * time.Millisecond
	// sweepRetryDelay is the delay after a sweep that failed.
	sweepRetryDelay = 5 * time.Second
	// callTimeout limits one call of the broker.
	callTimeout = 5 * time.Second
	// leaveWorkers is how many leaves run at once. More wait in the serializer's queue.
	leaveWorkers = 16
	// renewWorkers is how many channels are renewed at once.
	renewWorkers = 8
	// clockSlack is added to a grace before the sweep, because the broker's clock may be behind this gateway's.
	clockSlack = 100 * time.Millisecond
)

// Member is a subscriber of the hub that other clients can see. A client of a protocol implements it.
type Member interface {
	// PresenceInfo returns what other clients see of the member in a channel, or false when it has left the channel.
	PresenceInfo(channel string) (broker.ClientInfo, bool)
}

// Broker is what the keeper needs of the broker: it keeps the members there and publishes joins and leaves.
type Broker interface {
	broker.Publisher
	broker.Presence
}

// Options configure a Keeper.
type Options struct {
	Broker Broker
	Hub    *hub.Hub
	// TTL is how long a member stays present after its gateway has stopped renewing it.
	TTL time.Duration
	// Grace is how long a member stays present after its connection was lost.
	Grace  time.Duration
	Logger *slog.Logger
}

// Keeper keeps the members of this gateway present. It is safe for use by many goroutines. Members leave and are
// renewed while Run runs.
type Keeper struct {
	options    Options
	warnings   *ratelog.Limiter
	serializer serializer

	// mu guards sweeps.
	mu sync.Mutex
	// sweeps holds the channels to sweep, with the time at which the latest grace of a member is over.
	sweeps map[string]time.Time
}

// New returns a Keeper without members.
func New(o Options) *Keeper {
	return &Keeper{
		options:    o,
		warnings:   ratelog.New(o.Logger),
		serializer: newSerializer(),
		sweeps:     map[string]time.Time{},
	}
}

// Leave removes a member from a channel: at once when the client left on purpose (explicit), and after Options.Grace
// when its connection was lost. It returns before that is done.
func (k *Keeper) Leave(channel string, m broker.ClientInfo, explicit bool) {
	l := pendingLeave{channel: channel, info: m, grace: k.options.Grace}
	if explicit {
		l.grace = 0
	}
	k.serializer.addLeaves(m.Client, []pendingLeave{l})
}

// LeaveAll is Leave for all channels of a client whose connection was lost. It wants their number, the client's ID and
// what other clients see of the member in each.
func (k *Keeper) LeaveAll(client string, n int, members iter.Seq2[string, broker.ClientInfo]) {
	all := make([]pendingLeave, 0, n)
	for channel, m := range members {
		all = append(all, pendingLeave{channel: channel, info: m, grace: k.options.Grace})
	}
	k.serializer.addLeaves(client, all)
}

// Flush blocks until the broker knows of all leaves. It returns the context's error when that ends first.
func (k *Keeper) Flush(ctx context.Context) error {
	select {
	case <-k.serializer.idleSignal():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Run renews members and removes those that leave, until the context ends. It returns nil when the context was
// canceled, and the context's error when its deadline has passed.
func (k *Keeper) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for range leaveWorkers {
		group.Go(func() error { return k.runLeaves(ctx) })
	}
	group.Go(func() error { return k.runRenewals(ctx) })
	group.Go(func() error { return k.runSweeps(ctx) })
	err := group.Wait()
	k.serializer.stop()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// runLeaves removes one member after the other until the context ends, and returns the context's error.
func (k *Keeper) runLeaves(ctx context.Context) error {
	for {
		l, ok := k.serializer.acquireLeave(ctx)
		if !ok {
			return ctx.Err()
		}
		k.remove(ctx, &l)
		k.serializer.releaseLeave(&l)
	}
}

// remove removes a member at the broker. After an error the member stays until its time to live is over.
func (k *Keeper) remove(ctx context.Context, l *pendingLeave) {
	ctx, cancel := timeout.After(ctx, callTimeout)
	defer cancel()
	left, gone, err := k.options.Broker.Leave(ctx, l.channel, l.info, l.grace)
	if err != nil {
		k.warn(err)
		return
	}
	switch {
	case left && !l.noNotify:
		k.publish(ctx, l.channel, broker.KindLeave, l.info)
	case !left && l.grace > 0:
		k.sweepAt(l.channel, time.Now().Add(l.grace+clockSlack))
	}
	k.publishLeaves(ctx, l.channel, gone)
}

// publishLeaves publishes a leave for each member.
func (k *Keeper) publishLeaves(ctx context.Context, channel string, members []broker.ClientInfo) {
	for _, m := range members {
		k.publish(ctx, channel, broker.KindLeave, m)
	}
}

// publish publishes a join or a leave, if the channel's rule wants that. It does so also after the context has ended,
// because no other gateway publishes it.
func (k *Keeper) publish(ctx context.Context, channel string, kind broker.Kind, m broker.ClientInfo) {
	if !k.options.Hub.Rule(channel).JoinLeave {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
	defer cancel()
	// A copy, so that m is kept for a publication only.
	info := m
	_, err := k.options.Broker.Publish(ctx, channel, broker.Publication{Kind: kind, Info: &info}, broker.PublishOptions{})
	k.warn(err)
}

// warn logs that presence may be wrong for a while because of err, unless err is nil.
func (k *Keeper) warn(err error) { k.warnings.WarnError("presence is behind", err) }
