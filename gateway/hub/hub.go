// Package hub delivers publications from the broker to the connections of this gateway that subscribe to their
// channel. The session subscribes and attaches connections, the broker hands in publications, presence asks which
// subscribers to renew, and the fleet's commands ask how many there are.
//
// The hub subscribes to a channel at the broker while a connection of this gateway does, and encodes a publication
// once per protocol, however many subscribers it has. In a channel with history every publication has an offset. A
// positioned subscriber (AttachPositioned) gets each publication exactly once and in order, or is told that its state
// is insufficient.
//
// The files in reading order:
//
//   - hub.go: the Hub, its options, and how a channel is found.
//   - acquire.go: how long the broker delivers a channel to this gateway.
//   - subscription.go: a connection's subscription, from Subscribe and Attach to Release.
//   - channelstate.go: a channel's state, and its subscribers in groups with one encoder each.
//   - tailored.go: subscribers that want some publications only, or what has changed.
//   - deliver.go: the stages of one delivery, from the broker to the connections' queues.
//   - tracker.go: the stream tracker, which decides what a message or a read means for the channel's stream.
//   - backlog.go: publications that the tracker keeps for a moment.
//   - recover.go: AttachPositioned, which reads what a subscriber missed.
//   - insufficient.go: what happens when subscribers miss something for good.
//   - repair.go: how a gap in a stream is read and delivered.
//   - check.go: Run, which compares streams with the broker's now and then.
//   - repairqueue.go: the workers that read streams in the background.
//
// The locks, in the order in which a goroutine may take them:
//
//  1. shard.mu guards the channels of a shard and the reference count of each. The hub calls Broker.Subscribe,
//     Broker.Unsubscribe, FirstSubscriber and LastUnsubscribed with it, and takes no other lock of the hub then.
//  2. channelState.deliveryMu is held during a whole delivery, so that all subscribers get publications in one order.
//  3. channelState.mu guards the subscribers and the stream tracker of a channel. A delivery holds it for at most
//     maxBatch sends at a time, so that a broadcast to thousands delays neither Attach nor Release. The hub calls
//     Subscriber.Send and the callback of Attach and AttachPositioned with it, which may take locks of their own.
//  4. repairQueue.mu guards the queued jobs.
//
// No lock is held while a stream is read from the broker, nor while Subscriber.InsufficientState is called.
package hub

import (
	"context"
	"hash/maphash"
	"iter"
	"log/slog"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Encoder encodes publications for one protocol. The hub compares encoders with ==, so a protocol must use the same
// one for all connections that get the same bytes.
type Encoder interface {
	// Encode returns the frame that all subscribers with this encoder get. It returns the zero Frame when the protocol
	// cannot express the publication: then its subscribers skip it. After an error the state of positioned subscribers
	// is insufficient.
	Encode(channel string, p broker.Publication) (transport.Frame, error)
}

// Subscriber is a connection as the hub sees it. Its methods must not block.
type Subscriber interface {
	// Encoder returns the same Encoder for the whole life of the subscriber.
	Encoder() Encoder
	// Send queues a frame. The hub calls it with the lock of the channel and ignores the result.
	Send(f transport.Frame) bool
	// InsufficientState reports that a positioned subscriber would miss a publication. The hub delivers nothing more
	// for s. The subscriber should release s, subscribe again and recover. The hub calls it at most once for a
	// subscription, without a lock, and possibly just after s was released.
	InsufficientState(s *Subscription)
}

// Broker is what the hub needs of the broker: subscriptions, and the streams that it repairs from.
type Broker interface {
	// Subscribe asks for a channel's publications and returns at once. The broker calls confirmed when everything
	// published from then on will be delivered.
	Subscribe(channel string, confirmed func())
	// Lost returns a channel that is closed as soon as the broker is known not to deliver a channel for now.
	Lost(channel string) <-chan struct{}
	// Unsubscribe ends the delivery of a channel.
	Unsubscribe(channel string)
	broker.HistoryReader
	// EndEpoch ends the epoch of a stream. It returns the broker's error.
	EndEpoch(ctx context.Context, channel string) error
}

// Options configure a Hub.
type Options struct {
	Broker Broker
	// UnsubscribeDelay is how long the broker goes on delivering a channel after its last subscriber left, so that a
	// page that reloads needs no new subscription at the broker.
	UnsubscribeDelay time.Duration
	// SubscribeTimeout limits how long Subscribe waits for the broker. Zero means as long as the caller's context.
	SubscribeTimeout time.Duration
	// Rules are the rules of all channels.
	Rules channel.Rules
	// MaxRecoveredBytes is the maximum size of the publications that one subscriber recovers. Zero means no limit.
	MaxRecoveredBytes int
	// FirstSubscriber is called when this gateway begins to hold a channel, and LastUnsubscribed when it gives the
	// channel up. The calls for one channel do not overlap. They must not block nor call the hub. Nil: no calls.
	FirstSubscriber, LastUnsubscribed func(channel string)
	// GapUnrepaired is called for every gap in a stream that could not be repaired. Nil: no call.
	GapUnrepaired func()
	Logger        *slog.Logger
}

// numShards is the number of locks that the channels are spread over.
const numShards = 64

// Hub holds the channels of this gateway and their subscribers. It is safe for use by many goroutines.
type Hub struct {
	options Options
	broker  Broker
	seed    maphash.Seed
	shards  [numShards]shard
	repairs repairQueue
	// ctx ends when Run returns. Then no stream is read any more.
	ctx    context.Context
	cancel context.CancelFunc
}

// shard holds some of the channels. Its lock is held to find a channel, never during a delivery.
type shard struct {
	// mu guards the fields below, and the fields of its channels that say so.
	mu       sync.RWMutex
	channels map[string]*channelState
	// references is the sum of those of its channels.
	references int
}

// New returns a Hub without channels. Run must run for as long as the hub is used.
func New(o Options) *Hub {
	if o.GapUnrepaired == nil {
		o.GapUnrepaired = func() {}
	}
	if o.FirstSubscriber == nil {
		o.FirstSubscriber, o.LastUnsubscribed = func(string) {}, func(string) {}
	}
	h := &Hub{options: o, broker: o.Broker, seed: maphash.MakeSeed()}
	h.ctx, h.cancel = context.WithCancel(context.Background())
	for i := range h.shards {
		h.shards[i].channels = map[string]*channelState{}
	}
	return h
}

func (h *Hub) shard(name string) *shard {
	return &h.shards[maphash.String(h.seed, name)%numShards]
}

// Rule returns the rule of a channel.
func (h *Hub) Rule(name string) channel.Rule { return h.options.Rules.For(name) }

// find returns the state of a channel, or nil when this gateway does not hold the channel.
func (h *Hub) find(name string) *channelState {
	s := h.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.channels[name]
}

// channels returns the states of the channels that this gateway holds and that keep asks for. keep is called with the
// lock of a shard, the loop's body with none.
func (h *Hub) channels(keep func(*channelState) bool) iter.Seq[*channelState] {
	return func(yield func(*channelState) bool) {
		var kept []*channelState
		for i := range h.shards {
			kept = kept[:0]
			h.shards[i].mu.RLock()
			for _, c := range h.shards[i].channels {
				if keep(c) {
					kept = append(kept, c)
				}
			}
			h.shards[i].mu.RUnlock()
			for _, c := range kept {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// EachPresenceChannel calls f for every channel whose rule keeps presence, with the subscribers of this gateway that
// attached with InPresence. It does not call f for a channel without any. f owns the slice.
func (h *Hub) EachPresenceChannel(f func(channel string, subscribers []Subscriber)) {
	for c := range h.channels(func(c *channelState) bool { return c.rule.Presence }) {
		if present := c.inPresence(); len(present) > 0 {
			f(c.name, present)
		}
	}
}

// CountSubscribers calls f with the number of subscribers of every channel that has any in this gateway.
func (h *Hub) CountSubscribers(f func(channel string, subscribers int)) {
	for c := range h.channels(func(*channelState) bool { return true }) {
		if n := c.size(); n > 0 {
			f(c.name, n)
		}
	}
}

// Channels returns the number of channels that the broker delivers to this gateway.
func (h *Hub) Channels() int {
	n := 0
	for i := range h.shards {
		h.shards[i].mu.RLock()
		n += len(h.shards[i].channels)
		h.shards[i].mu.RUnlock()
	}
	return n
}

// Subscriptions returns the number of subscriptions of this gateway's clients.
func (h *Hub) Subscriptions() int {
	n := 0
	for i := range h.shards {
		h.shards[i].mu.RLock()
		n += h.shards[i].references
		h.shards[i].mu.RUnlock()
	}
	return n
}
