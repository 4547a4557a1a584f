// Package hub knows which connections of this gateway subscribe to which channel. It asks the
// broker for a channel while anybody here wants it, and encodes a publication once per protocol,
// however many subscribers there are.
package hub

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Encoder turns a publication into the frame of one protocol. The hub compares encoders, so a
// protocol must use the same one for all its connections.
type Encoder interface {
	Encode(channel string, p broker.Publication) (transport.Frame, error)
}

// Subscriber is a connection as the hub sees it. Send must not block.
type Subscriber interface {
	Encoder() Encoder
	Send(f transport.Frame) bool
}

// Options are what a Hub is made of.
type Options struct {
	// Linger is how long a channel without subscribers is kept at the broker: pages that reload come
	// back within a second.
	Linger time.Duration
	Logger *slog.Logger
}

// shards bounds how many channels share a lock.
const shards = 64

// Hub is safe for use by many goroutines.
type Hub struct {
	options Options
	broker  broker.Broker
	seed    maphash.Seed
	shards  [shards]shard
}

type shard struct {
	mu     sync.RWMutex
	topics map[string]*topic
}

// New returns a hub without a broker, since the broker needs the hub's Deliver first.
func New(o Options) *Hub {
	h := &Hub{options: o, seed: maphash.MakeSeed()}
	for i := range h.shards {
		h.shards[i].topics = map[string]*topic{}
	}
	return h
}

// Use sets the broker. Call it once, before anything subscribes.
func (h *Hub) Use(b broker.Broker) { h.broker = b }

func (h *Hub) shard(channel string) *shard {
	return &h.shards[maphash.String(h.seed, channel)%shards]
}

// Deliver is the broker's way to the subscribers here.
func (h *Hub) Deliver(channel string, p broker.Publication) {
	s := h.shard(channel)
	s.mu.RLock()
	defer s.mu.RUnlock()
	t := s.topics[channel]
	if t == nil {
		return
	}
	for encoder, members := range t.members {
		frame, err := encoder.Encode(channel, p)
		if err != nil {
			h.options.Logger.Warn("publication not encoded", slog.String("channel", channel), slog.Any("error", err))
			continue
		}
		for m := range members {
			m.Send(frame)
		}
	}
}

// Channels counts the channels that this gateway holds at the broker.
func (h *Hub) Channels() int {
	n := 0
	for i := range h.shards {
		h.shards[i].mu.RLock()
		n += len(h.shards[i].topics)
		h.shards[i].mu.RUnlock()
	}
	return n
}

// Hold is one connection's interest in a channel.
type Hold struct {
	hub     *Hub
	channel string
	topic   *topic
	member  Subscriber
}

// Hold returns when the broker delivers the channel to this gateway, so that nothing published
// after it is missed. Release the hold in any case.
func (h *Hub) Hold(ctx context.Context, channel string) (*Hold, error) {
	t := h.want(channel)
	hold := &Hold{hub: h, channel: channel, topic: t}
	select {
	case <-t.confirmed:
		return hold, nil
	case <-ctx.Done():
		hold.Release()
		return nil, broker.ErrUnavailable
	}
}

// Attach begins delivery. first runs before any publication can be delivered, and must not block:
// an acknowledgement queued in it goes out ahead of them.
func (o *Hold) Attach(m Subscriber, first func()) {
	s := o.hub.shard(o.channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if first != nil {
		first()
	}
	o.member = m
	o.topic.add(m)
}

// Release ends delivery and the interest. The connection must not use the hold again.
func (o *Hold) Release() {
	s := o.hub.shard(o.channel)
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.member != nil {
		o.topic.remove(o.member)
	}
	o.hub.unwant(s, o.channel, o.topic)
}
