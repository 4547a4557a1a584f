// Package hub knows which connections of this gateway subscribe to which channel. It asks the
// broker for a channel while anybody here wants it, and encodes a publication once per protocol,
// however many subscribers there are. No lock is held for longer than a few hundred sends: a
// broadcast to thousands holds up neither who subscribes nor who leaves.
//
// In a channel with history every publication has an offset, and a member that counts on the stream
// (Join) gets each exactly once, in order, or is told that it cannot (Lost). sequence.go decides that
// for the channel, hold.go for the member; recover.go lets members in, repair.go closes gaps.
package hub

import (
	"context"
	"hash/maphash"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Encoder turns a publication into the frame of one protocol, or into the zero Frame when the protocol
// has no way to say it: nobody misses that. After an error members that count on the stream are Lost.
// The hub compares encoders, so a protocol must use the same one for all its connections.
type Encoder interface {
	Encode(channel string, p broker.Publication) (transport.Frame, error)
}

// Subscriber is a connection as the hub sees it. Its methods must not block.
type Subscriber interface {
	Encoder() Encoder
	Send(f transport.Frame) bool
	// Lost says that the member would miss something: it gets nothing more of the channel and should
	// release the hold, and join again with a new one. It comes once, without a lock, and may come just
	// after the hold was released.
	InsufficientState(o *Subscription)
}

// Broker is what the hub needs of the broker: subscriptions, and the streams that it repairs from.
type Broker interface {
	Subscribe(channel string, confirmed func())
	Unsubscribe(channel string)
	History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error)
	RemoveHistory(ctx context.Context, channel string) error
}

// Options are what a Hub is made of.
type Options struct {
	Broker Broker
	// UnsubscribeDelay is how long a channel without subscribers is kept at the broker: pages that reload come
	// back within a second.
	UnsubscribeDelay time.Duration
	// SubscribeTimeout bounds how long a Hold waits for the broker; 0: as long as its context.
	SubscribeTimeout time.Duration
	// Rules say what holds for a channel.
	Rules channel.Rules
	// MaxRecoveredBytes is the most that one member gets of what it missed; 0 is no bound.
	MaxRecoveredBytes int
	// FirstSubscriber and LastUnsubscribed are told of channels that this gateway begins and ends to hold. They must not
	// block, and are called one after the other for each channel.
	FirstSubscriber, LastUnsubscribed func(channel string)
	// GapUnrepaired counts gaps in streams that could not be closed.
	GapUnrepaired func()
	Logger        *slog.Logger
}

// shards bounds how many channels share a lock.
const shards = 64

// Hub is safe for use by many goroutines.
type Hub struct {
	options Options
	broker  Broker
	seed    maphash.Seed
	shards  [shards]shard
	crew    crew
	// life ends with Run: then no stream is read any more.
	life context.Context
	end  context.CancelFunc
}

// shard is some of the channels. Its lock is held to find one, never to deliver.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*topic
}

// New returns a hub without channels.
func New(o Options) *Hub {
	if o.GapUnrepaired == nil {
		o.GapUnrepaired = func() {}
	}
	if o.FirstSubscriber == nil {
		o.FirstSubscriber, o.LastUnsubscribed = func(string) {}, func(string) {}
	}
	h := &Hub{options: o, broker: o.Broker, seed: maphash.MakeSeed()}
	h.life, h.end = context.WithCancel(context.Background())
	for i := range h.shards {
		h.shards[i].topics = map[string]*topic{}
	}
	return h
}

func (h *Hub) shard(channel string) *shard {
	return &h.shards[maphash.String(h.seed, channel)%shards]
}

// Rule is what holds for a channel.
func (h *Hub) Rule(name string) channel.Rule { return h.options.Rules.For(name) }

// topic is a channel that is held here, or nil.
func (h *Hub) topic(channel string) *topic {
	s := h.shard(channel)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[channel]
}

// topics are all channels that are held here.
func (h *Hub) topics() []*topic {
	var out []*topic
	for i := range h.shards {
		h.shards[i].mu.RLock()
		out = slices.AppendSeq(out, maps.Values(h.shards[i].topics))
		h.shards[i].mu.RUnlock()
	}
	return out
}

// Deliver is the broker's way to the subscribers here.
func (h *Hub) Deliver(channel string, p broker.Publication) {
	if t := h.topic(channel); t != nil {
		t.deliver(p)
	}
}

// Present calls f for every channel whose rule keeps presence, with the members that others see in it.
func (h *Hub) EachPresenceChannel(f func(channel string, members []Subscriber)) {
	for _, t := range h.topics() {
		if !t.rule.Presence {
			continue
		}
		var members []Subscriber
		t.mu.Lock()
		t.each(func(o *Subscription) {
			if o.present {
				members = append(members, o.member)
			}
		})
		t.mu.Unlock()
		if len(members) > 0 {
			f(t.channel, members)
		}
	}
}

// Subscribers counts the members of every channel that has any here.
func (h *Hub) CountSubscribers(f func(channel string, members int)) {
	for _, t := range h.topics() {
		t.mu.Lock()
		n := t.size()
		t.mu.Unlock()
		if n > 0 {
			f(t.channel, n)
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
