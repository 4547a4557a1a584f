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

// presenceStripe holds the presence of one stripe's channels. A channel without members has none.
type presenceStripe struct {
	// mu guards the field below.
	mu   sync.Mutex
	open map[string]*channelPresence
}

// withPresence calls do with a channel's presence and the time on the broker's clock. do runs under the stripe's lock.
func (b *Broker) withPresence(channel string, do func(p *channelPresence, now time.Duration)) {
	s := &b.presence[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	p, known := s.open[channel]
	if !known {
		p = newChannelPresence()
	}
	do(p, time.Since(b.begun))
	switch {
	case len(p.members) == 0:
		delete(s.open, channel)
	case !known:
		// A copy, because the caller's string may be a part of a large one.
		s.open[strings.Clone(channel)] = p
	}
}

// sweep removes the presence of channels whose members have all expired at least forgetAfter ago.
func (s *presenceStripe) sweep(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, p := range s.open {
		over := 0
		for range p.queue.over(now - forgetAfter) {
			over++
		}
		if over == len(p.members) {
			delete(s.open, channel)
		}
	}
}

// Join implements broker.Presence. It never returns an error.
func (b *Broker) Join(
	_ context.Context, channel string, m broker.ClientInfo, ttl time.Duration,
) (joined broker.Joined, err error) {
	b.withPresence(channel, func(p *channelPresence, now time.Duration) { joined = p.join(m, now, ttl) })
	return joined, nil
}

// Leave implements broker.Presence. It never returns an error.
func (b *Broker) Leave(_ context.Context, channel string, m broker.ClientInfo,
	grace time.Duration) (left bool, gone []broker.ClientInfo, err error) {
	b.withPresence(channel, func(p *channelPresence, now time.Duration) { left, gone = p.leave(m.Client, now, grace) })
	return left, gone, nil
}

// Renew implements broker.Presence. It never returns an error.
func (b *Broker) Renew(_ context.Context, channel string, clients []string,
	ttl time.Duration) (missing []string, gone []broker.ClientInfo, err error) {
	b.withPresence(channel, func(p *channelPresence, now time.Duration) {
		for _, client := range clients {
			m := p.members[client]
			if m == nil || m.away {
				missing = append(missing, client)
				continue
			}
			p.renew(m, now+ttl)
		}
		gone = p.purge(now)
	})
	return missing, gone, nil
}

// Sweep implements broker.Presence. It never returns an error.
func (b *Broker) Sweep(_ context.Context, channel string) (gone []broker.ClientInfo, err error) {
	b.withPresence(channel, func(p *channelPresence, now time.Duration) { gone = p.purge(now) })
	return gone, nil
}

// Members implements broker.PresenceReader. It returns broker.ErrTooLarge.
func (b *Broker) Members(_ context.Context, channel string, bytes int) (out map[string]broker.ClientInfo, err error) {
	b.withPresence(channel, func(p *channelPresence, now time.Duration) { out, err = p.all(now, bytes) })
	return out, err
}

// PresenceStats implements broker.PresenceReader. It never returns an error.
func (b *Broker) PresenceStats(_ context.Context, channel string) (clients, users int, err error) {
	b.withPresence(channel, func(p *channelPresence, now time.Duration) { clients, users = p.count(now) })
	return clients, users, nil
}
