package presence

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/hub"
)

// renewing keeps all members of this gateway.
func (k *Keeper) renewing(ctx context.Context) error {
	return every(ctx, k.options.TTL/renewals, func(time.Time) {
		var group errgroup.Group
		// One after the other, many channels would take longer than their members have.
		group.SetLimit(renewers)
		k.options.Hub.EachPresenceChannel(func(channel string, members []hub.Subscriber) {
			group.Go(func() error {
				k.renewAll(ctx, channel, members)
				return nil
			})
		})
		_ = group.Wait()
	})
}

// renewAll keeps the members of a channel.
func (k *Keeper) renewAll(ctx context.Context, channel string, members []hub.Subscriber) {
	known := make(map[string]Member, len(members))
	clients := make([]string, 0, len(members))
	for _, m := range members {
		visible, ok := m.(Member)
		if !ok {
			continue
		}
		if info, present := visible.Presence(channel); present {
			known[info.Client] = visible
			clients = append(clients, info.Client)
		}
	}
	for from := 0; from < len(clients); from += renewedAtOnce {
		k.renew(ctx, channel, clients[from:min(from+renewedAtOnce, len(clients))], known)
	}
}

// renew keeps some members of a channel, and brings back those that the broker has lost.
func (k *Keeper) renew(ctx context.Context, channel string, clients []string, known map[string]Member) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	missing, gone, err := k.options.Broker.Renew(ctx, channel, clients, k.options.TTL)
	k.warn(err)
	k.gone(ctx, channel, gone)
	for _, client := range missing {
		k.bringBack(ctx, seat{channel, client}, known[client])
	}
}

// bringBack makes somebody a member again that the broker does not know: it is back, not new, and nobody
// was told that it had gone. It may be missing because it has just left.
func (k *Keeper) bringBack(ctx context.Context, s seat, m Member) {
	if m == nil || !k.turns.stay(ctx, s) {
		return
	}
	defer k.turns.done(s)
	info, present := m.Presence(s.channel)
	if !present {
		return
	}
	_, gone, err := k.options.Broker.Join(ctx, s.channel, info, k.options.TTL)
	k.warn(err)
	k.gone(ctx, s.channel, gone)
}

// sweepAt sees to it that a channel is looked at when a grace is over.
func (k *Keeper) sweepAt(channel string, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sweeps[channel].Before(at) {
		k.sweeps[channel] = at
	}
}

func (k *Keeper) sweeping(ctx context.Context) error {
	return every(ctx, sweepTick, func(now time.Time) {
		for _, channel := range k.dueSweeps(now) {
			k.sweep(ctx, channel)
		}
	})
}

func (k *Keeper) sweep(ctx context.Context, channel string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	gone, err := k.options.Broker.Sweep(ctx, channel)
	if err != nil {
		k.warn(err)
		k.sweepAt(channel, time.Now().Add(sweepRetry))
	}
	k.gone(ctx, channel, gone)
}

// dueSweeps are the channels whose latest grace is over. Earlier ones wait for it when members leave
// one after the other, but not for long: renewals sweep, too.
func (k *Keeper) dueSweeps(now time.Time) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var due []string
	for channel, at := range k.sweeps {
		if !now.Before(at) {
			due = append(due, channel)
			delete(k.sweeps, channel)
		}
	}
	return due
}

// every calls f again and again until the context ends.
func every(ctx context.Context, interval time.Duration, f func(now time.Time)) error {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case now := <-ticker.C:
			f(now)
		}
	}
}
