package presence

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// runRenewals renews all members of this gateway until the context ends, and returns the context's error.
func (k *Keeper) runRenewals(ctx context.Context) error {
	lastComplete := time.Now()
	return every(ctx, k.options.TTL/renewalsPerTTL, func(time.Time) {
		r := renewal{lapsed: time.Since(lastComplete) >= k.options.TTL}
		start := time.Now()
		var group errgroup.Group
		// In parallel, because many channels one after the other would take longer than the members' time to live.
		group.SetLimit(renewWorkers)
		k.options.Hub.EachPresenceChannel(func(channel string, subscribers []hub.Subscriber) {
			group.Go(func() error { return k.renewChannel(ctx, channel, subscribers, r) })
		})
		if group.Wait() == nil {
			lastComplete = start
		}
	})
}

// renewal is one renewal of all members.
type renewal struct {
	// lapsed is true when members may have expired since they were renewed, because calls failed, or the process stood
	// still: then another gateway may have published their leaves.
	lapsed bool
}

// renewChannel renews the members of a channel in batches. It returns the first error of the broker.
func (k *Keeper) renewChannel(ctx context.Context, channel string, subscribers []hub.Subscriber, r renewal) error {
	members := make(map[string]Member, len(subscribers))
	clients := make([]string, 0, len(subscribers))
	for _, s := range subscribers {
		m, ok := s.(Member)
		if !ok {
			continue
		}
		if info, present := m.PresenceInfo(channel); present {
			members[info.Client] = m
			clients = append(clients, info.Client)
		}
	}
	var failed error
	for batch := range slices.Chunk(clients, maxRenewBatch) {
		missing, err := k.renew(ctx, channel, batch)
		failed = cmp.Or(failed, err)
		for _, client := range missing {
			k.restore(ctx, memberKey{channel, client}, members[client], r)
		}
	}
	return failed
}

// renew renews some members of a channel. It returns those that the broker has lost, and the broker's error.
func (k *Keeper) renew(ctx context.Context, channel string, clients []string) (missing []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	missing, gone, err := k.options.Broker.Renew(ctx, channel, clients, k.options.TTL)
	k.warn(err)
	k.publishLeaves(ctx, channel, gone)
	return missing, err
}

// restore joins a member again that the broker does not know, unless it is missing because it has just left. It
// publishes the join only where the member's leave may have been published: when a broker has lost its data, other
// clients know of the members.
func (k *Keeper) restore(ctx context.Context, key memberKey, m Member, r renewal) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if m == nil || !k.serializer.acquire(ctx, key) {
		return
	}
	defer k.serializer.release(key)
	info, present := m.PresenceInfo(key.channel)
	if !present {
		return
	}
	joined, err := k.options.Broker.Join(ctx, key.channel, info, k.options.TTL)
	k.warn(err)
	if joined == broker.JoinReplaced {
		k.sweep(ctx, key.channel)
	}
	if r.lapsed && joined != broker.JoinRenewed && err == nil {
		k.publish(ctx, key.channel, broker.KindJoin, info)
	}
}

// every calls f once per interval until the context ends, and returns the context's error.
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
