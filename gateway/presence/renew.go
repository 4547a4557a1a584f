package presence

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// runRenewals renews all members of this gateway until the context ends, and returns the context's error.
func (k *Keeper) runRenewals(ctx context.Context) error {
	return every(ctx, k.options.TTL/renewalsPerTTL, func(time.Time) {
		var group errgroup.Group
		// In parallel, because many channels one after the other would take longer than the members' time to live.
		group.SetLimit(renewWorkers)
		k.options.Hub.EachPresenceChannel(func(channel string, subscribers []hub.Subscriber) {
			group.Go(func() error {
				k.renewChannel(ctx, channel, subscribers)
				return nil
			})
		})
		_ = group.Wait()
	})
}

// renewChannel renews the members of a channel in batches.
func (k *Keeper) renewChannel(ctx context.Context, channel string, subscribers []hub.Subscriber) {
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
	for from := 0; from < len(clients); from += maxRenewBatch {
		k.renew(ctx, channel, clients[from:min(from+maxRenewBatch, len(clients))], members)
	}
}

// renew renews some members of a channel, and joins those again that the broker has lost.
func (k *Keeper) renew(ctx context.Context, channel string, clients []string, members map[string]Member) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	missing, gone, err := k.options.Broker.Renew(ctx, channel, clients, k.options.TTL)
	k.warn(err)
	k.publishLeaves(ctx, channel, gone)
	for _, client := range missing {
		k.restore(ctx, memberKey{channel, client}, members[client])
	}
}

// restore joins a member again that the broker does not know, unless it is missing because it has just left. It
// publishes no join, because no leave was published.
func (k *Keeper) restore(ctx context.Context, key memberKey, m Member) {
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
