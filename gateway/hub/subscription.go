package hub

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Subscription is the subscription of one connection to one channel. There are as many as connections times channels,
// so it is kept small. The mu of its channel guards it once it is attached.
type Subscription struct {
	channel    *channelState
	subscriber Subscriber
	// insufficient is true when the subscriber has missed a publication. Then it gets no more.
	insufficient bool
	// released is true after Release.
	released bool
	// positioned is AttachOptions.Positioned.
	positioned bool
	// joinLeave is AttachOptions.JoinLeave.
	joinLeave bool
	// inPresence is AttachOptions.InPresence.
	inPresence bool
	// hasPosition is true when after is an offset of the stream, so that the next publication must have after+1.
	hasPosition bool
	// hasBase is true when the subscriber has got the latest publication, so that a delta can be made from it.
	hasBase bool
	// after is the offset up to which the subscriber has the channel's stream, or must not get it.
	after uint64
	// index is the subscription's slot in its encoder group.
	index int
}

// AttachOptions say what a subscriber wants besides the channel's publications.
type AttachOptions struct {
	// Positioned makes the hub call InsufficientState when the subscriber would miss a publication.
	Positioned bool
	// JoinLeave adds the joins and leaves of the channel's members.
	JoinLeave bool
	// InPresence says that the subscriber is a member of the channel's presence, which this gateway has to renew.
	InPresence bool
	// RecoverLatest makes AttachPositioned return the latest publication alone, and none to a subscriber that has it,
	// instead of all that came after the subscriber's position.
	RecoverLatest bool
	// RequireComplete makes AttachPositioned return broker.ErrUnrecoverable when it cannot recover all that was published
	// after the subscriber's position.
	RequireComplete bool
	// Filter says which publications the subscriber wants; nil is all. The others count as delivered.
	Filter *tagfilter.Filter
	// Delta encodes the publications for this subscription, instead of the subscriber's encoder; nil is that one.
	Delta DeltaEncoder
	// MaxRecoveredBytes makes AttachPositioned return broker.ErrTooLarge when what it would recover takes more bytes, or
	// may do so. Zero means no such limit: beyond Options.MaxRecoveredBytes nothing is recovered.
	MaxRecoveredBytes int
}

// Subscribe blocks until the broker delivers the channel to this gateway, so that nothing published after it returns
// is missed. The caller owns the subscription and must release it. Subscribe returns broker.ErrUnavailable when the
// context ends or Options.SubscribeTimeout passes first, and lostTimeout after the broker was lost.
func (h *Hub) Subscribe(ctx context.Context, channel string) (*Subscription, error) {
	c := h.acquire(channel)
	s := &Subscription{channel: c}
	select {
	case <-c.confirmed:
		return s, nil
	default:
	}
	// Only now, since most channels are confirmed already and a context with a deadline costs an allocation and a timer.
	if timeout := h.options.SubscribeTimeout; timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	if !c.awaitConfirmed(ctx) {
		s.Release()
		return nil, broker.ErrUnavailable
	}
	return s, nil
}

// lostTimeout is how long Subscribe waits for a broker that is lost. Most connections that were cut are back by then.
const lostTimeout = 150 * time.Millisecond

// awaitConfirmed blocks until the broker delivers the channel. It reports false when the context ends first, or
// lostTimeout passes without a connection to the broker.
func (c *channelState) awaitConfirmed(ctx context.Context) bool {
	select {
	case <-c.confirmed:
		return true
	case <-ctx.Done():
		return false
	case <-c.hub.broker.Lost(c.name):
	}
	timeout := time.NewTimer(lostTimeout)
	defer timeout.Stop()
	select {
	case <-c.confirmed:
		return true
	case <-ctx.Done():
	case <-timeout.C:
	}
	return false
}

// Channel returns the name of the channel.
func (s *Subscription) Channel() string { return s.channel.name }

// Rule returns the rule of the channel.
func (s *Subscription) Rule() channel.Rule { return s.channel.rule }

// Attach begins the delivery of what is published from now on to m. It calls first, which may be nil, with the
// channel's lock and before any publication can be delivered, so that an acknowledgement queued in first goes out
// ahead of them. first must not block.
func (s *Subscription) Attach(m Subscriber, o AttachOptions, first func()) {
	s.channel.mu.Lock()
	defer s.channel.mu.Unlock()
	// What was delivered already was published before, even if its message is still on its way.
	s.attach(m, o, s.channel.tracker.delivered, first)
}

// attach begins delivery to a subscriber that has the stream up to a position. It reports false when the subscription
// was released meanwhile. The caller holds the channel's mu.
func (s *Subscription) attach(m Subscriber, o AttachOptions, at broker.Position, first func()) (attached bool) {
	if s.released {
		return false
	}
	if first != nil {
		first()
	}
	s.subscriber, s.positioned, s.joinLeave, s.inPresence = tailor(m, o), o.Positioned, o.JoinLeave, o.InPresence
	s.after, s.hasPosition = at.Offset, at.Epoch != ""
	s.channel.add(s)
	return true
}

// Release ends delivery and gives the subscription up. Calling it again does nothing.
func (s *Subscription) Release() {
	if s.detach() {
		s.channel.hub.release(s.channel)
	}
}

// detach ends delivery. It reports false when the subscription was released before.
func (s *Subscription) detach() bool {
	s.channel.mu.Lock()
	defer s.channel.mu.Unlock()
	if s.released {
		return false
	}
	s.released = true
	if s.subscriber != nil {
		s.channel.remove(s)
	}
	return true
}

// accept reports whether the subscriber gets a join, a leave, or a publication with an offset, and records a
// publication as sent. endedStream says that the publication is of a stream that has ended. accept guarantees that a
// positioned subscriber gets no offset but the next one, whatever went wrong before. The caller holds the channel's mu.
func (s *Subscription) accept(kind broker.Kind, offset uint64, endedStream bool) bool {
	switch {
	case kind != broker.KindPublication:
		return s.joinLeave
	case endedStream:
		return !s.positioned
	case offset <= s.after:
		return false
	case s.positioned && s.hasPosition && offset != s.after+1:
		s.markInsufficient()
		return false
	}
	s.after, s.hasPosition = offset, true
	return true
}

// markInsufficient ends delivery to a positioned subscriber that misses a publication; others go on. The caller holds
// the channel's mu, and calls notifyInsufficient after releasing it.
func (s *Subscription) markInsufficient() {
	if s.positioned && !s.insufficient {
		s.insufficient = true
		s.channel.groupOf(s).slots[s.index].subscriber = nil
		s.channel.insufficient = append(s.channel.insufficient, s)
	}
}
