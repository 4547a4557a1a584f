package memory

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// forgetAfter is how long expired members are kept, so that a call can remove and return them.
const forgetAfter = 10 * time.Minute

// rooms are the rooms of one stripe's channels. A channel without members has none.
type rooms struct {
	mu   sync.Mutex
	open map[string]*room
}

// in calls do with a channel's room and the time on the broker's clock. do runs under the stripe's lock.
func (b *Broker) in(channel string, do func(r *room, now time.Duration)) {
	rs := &b.rooms[b.stripe(channel)]
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r, known := rs.open[channel]
	if !known {
		r = newRoom()
	}
	do(r, time.Since(b.begun))
	switch {
	case len(r.members) == 0:
		delete(rs.open, channel)
	case !known:
		// A copy, because the caller's string may be a part of a large one.
		rs.open[strings.Clone(channel)] = r
	}
}

// sweep removes rooms whose members have all expired at least forgetAfter ago.
func (rs *rooms) sweep(now time.Duration) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for channel, r := range rs.open {
		over := 0
		for range r.queue.over(now - forgetAfter) {
			over++
		}
		if over == len(r.members) {
			delete(rs.open, channel)
		}
	}
}

// Join implements broker.Presence. It never returns an error.
func (b *Broker) Join(_ context.Context, channel string, m broker.ClientInfo,
	ttl time.Duration) (fresh bool, gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { fresh, gone = r.join(m, now, ttl) })
	return fresh, gone, nil
}

// Leave implements broker.Presence. It never returns an error.
func (b *Broker) Leave(_ context.Context, channel string, m broker.ClientInfo,
	grace time.Duration) (left bool, gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { left, gone = r.leave(m.Client, now, grace) })
	return left, gone, nil
}

// Renew implements broker.Presence. It never returns an error.
func (b *Broker) Renew(_ context.Context, channel string, clients []string,
	ttl time.Duration) (missing []string, gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) {
		for _, client := range clients {
			m := r.members[client]
			if m == nil || m.away {
				missing = append(missing, client)
				continue
			}
			r.renew(m, now+ttl)
		}
		gone = r.purge(now)
	})
	return missing, gone, nil
}

// Sweep implements broker.Presence. It never returns an error.
func (b *Broker) Sweep(_ context.Context, channel string) (gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { gone = r.purge(now) })
	return gone, nil
}

// Members implements broker.PresenceReader. It returns broker.ErrTooLarge.
func (b *Broker) Members(_ context.Context, channel string, bytes int) (out map[string]broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { out, err = r.all(now, bytes) })
	return out, err
}

// PresenceStats implements broker.PresenceReader. It never returns an error.
func (b *Broker) PresenceStats(_ context.Context, channel string) (clients, users int, err error) {
	b.in(channel, func(r *room, now time.Duration) { clients, users = r.count(now) })
	return clients, users, nil
}
