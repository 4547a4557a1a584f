package memory

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// forgetAfter is how long after the end of their time members are kept for somebody to take them out.
const forgetAfter = 10 * time.Minute

// rooms are those of one stripe's channels that have members.
type rooms struct {
	mu   sync.Mutex
	open map[string]*room
}

// in does something with a channel's members, at a time on the broker's clock.
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
		// As with streams: the caller's string may be a piece of something large.
		rs.open[strings.Clone(channel)] = r
	}
}

// sweep throws rooms away in which everybody's time has been over for long.
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

// Join implements broker.Presence.
func (b *Broker) Join(_ context.Context, channel string, m broker.ClientInfo, ttl time.Duration) (fresh bool, gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { fresh, gone = r.join(m, now, ttl) })
	return fresh, gone, nil
}

// Leave implements broker.Presence.
func (b *Broker) Leave(_ context.Context, channel string, m broker.ClientInfo, grace time.Duration) (left bool, gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { left, gone = r.leave(m.Client, now, grace) })
	return left, gone, nil
}

// Renew implements broker.Presence. Who is away counts as missing, and keeps its grace.
func (b *Broker) Renew(_ context.Context, channel string, clients []string, ttl time.Duration) (missing []string, gone []broker.ClientInfo, err error) {
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

// Sweep implements broker.Presence.
func (b *Broker) Sweep(_ context.Context, channel string) (gone []broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { gone = r.purge(now) })
	return gone, nil
}

// Members implements broker.Presence. Whose time is over is left out, if not yet taken out.
func (b *Broker) Members(_ context.Context, channel string, bytes int) (out map[string]broker.ClientInfo, err error) {
	b.in(channel, func(r *room, now time.Duration) { out, err = r.all(now, bytes) })
	return out, err
}

// PresenceStats implements broker.Presence, and leaves out whom Members does.
func (b *Broker) PresenceStats(_ context.Context, channel string) (clients, users int, err error) {
	b.in(channel, func(r *room, now time.Duration) { clients, users = r.count(now) })
	return clients, users, nil
}
