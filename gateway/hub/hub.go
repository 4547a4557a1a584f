// Package hub knows which connections of this gateway subscribe to which channel. It asks the
// broker for a channel while anybody here wants it, and encodes a publication once per protocol,
// however many subscribers there are. No lock is held for longer than a few hundred sends: a
// broadcast to thousands holds up neither who subscribes nor who leaves.
package hub

import (
	"context"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/channel"
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
	// Rules say what happens to the messages of a channel when a client does not keep up.
	Rules  channel.Rules
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

// shard is some of the channels. Its lock is held to find one, never to deliver.
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
	t := s.topics[channel]
	s.mu.RUnlock()
	if t != nil {
		t.deliver(p)
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
	topic  *topic
	member Subscriber
	// place is where the topic keeps it while it is attached.
	place int
}

// Hold returns when the broker delivers the channel to this gateway, so that nothing published
// after it is missed. Release the hold in any case.
func (h *Hub) Hold(ctx context.Context, channel string) (*Hold, error) {
	t := h.want(channel)
	hold := &Hold{topic: t}
	select {
	case <-t.confirmed:
		return hold, nil
	default:
	}
	select {
	case <-t.confirmed:
		return hold, nil
	case <-ctx.Done():
		hold.Release()
		return nil, broker.ErrUnavailable
	}
}

// Channel is what is held.
func (o *Hold) Channel() string { return o.topic.channel }

// Attach begins delivery. first runs before any publication can be delivered, and must not block:
// an acknowledgement queued in it goes out ahead of them.
func (o *Hold) Attach(m Subscriber, first func()) {
	o.topic.mu.Lock()
	defer o.topic.mu.Unlock()
	if first != nil {
		first()
	}
	o.member = m
	o.topic.add(o)
}

// Release ends delivery and the interest. The connection must not use the hold again.
func (o *Hold) Release() {
	if o.member != nil {
		o.topic.mu.Lock()
		o.topic.remove(o)
		o.topic.mu.Unlock()
	}
	o.topic.hub.unwant(o.topic)
}
