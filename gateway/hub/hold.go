package hub

import (
	"context"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Hold is one connection's interest in a channel. There is one for every subscription of every
// connection, so it is kept small.
type Subscription struct {
	topic  *topic
	member Subscriber
	// lost: something is missing, and the member is told instead of getting more.
	lost bool
	// released: the connection is done with it.
	released bool
	// positioned: the member is told when it would miss something.
	positioned bool
	// joinLeave: the member is told who comes and goes. present: others can see it in the channel.
	joinLeave, present bool
	// placed: after is a place in the stream, so that the member gets the next one next.
	placed bool
	// after is the offset up to which the member has the channel's stream, or must not get it.
	after uint64
	// place is where the topic keeps it while it is attached.
	place int
}

// AttachOptions is what a member wants of a channel besides its publications.
type AttachOptions struct {
	// Positioned members are Lost when they would miss something.
	Positioned bool
	// JoinLeave: the channel's joins and leaves, too.
	JoinLeave bool
	// Present members are renewed in the channel's presence.
	InPresence bool
	// Whole: the member would rather not join than with a gap behind the position that it has.
	RequireComplete bool
}

// Hold returns when the broker delivers the channel to this gateway, so that nothing published
// after it is missed. Release the hold in any case.
func (h *Hub) Subscribe(ctx context.Context, channel string) (*Subscription, error) {
	t := h.want(channel)
	hold := &Subscription{topic: t}
	select {
	case <-t.confirmed:
		return hold, nil
	default:
	}
	// Not before: most channels are there, and a context with a time is not free.
	if p := h.options.SubscribeTimeout; p > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p)
		defer cancel()
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
func (o *Subscription) Channel() string { return o.topic.channel }

// Attach begins delivery of what is published from now on. first runs before any publication can be
// delivered, and must not block: an acknowledgement queued in it goes out ahead of them.
func (o *Subscription) Attach(m Subscriber, i AttachOptions, first func()) {
	o.topic.mu.Lock()
	defer o.topic.mu.Unlock()
	// What went out already was published before, even if its message is still on its way.
	o.attach(m, i, o.topic.sequence.last, first)
}

// attach lets a member in that has the stream up to a position, unless it has left meanwhile; the topic
// is locked.
func (o *Subscription) attach(m Subscriber, i AttachOptions, at broker.Position, first func()) (in bool) {
	if o.released {
		return false
	}
	if first != nil {
		first()
	}
	o.member, o.positioned, o.joinLeave, o.present = m, i.Positioned, i.JoinLeave, i.InPresence
	o.after, o.placed = at.Offset, at.Epoch != ""
	o.topic.add(o)
	return true
}

// Release ends delivery and the interest. The connection must not use the hold again.
func (o *Subscription) Release() {
	if o.leave() {
		o.topic.hub.unwant(o.topic)
	}
}

// leave ends delivery. It reports false for a hold that was released before.
func (o *Subscription) leave() bool {
	o.topic.mu.Lock()
	defer o.topic.mu.Unlock()
	if o.released {
		return false
	}
	o.released = true
	if o.member != nil {
		o.topic.remove(o)
	}
	return true
}

// takes reports whether the member gets a join, a leave, or a publication of the stream, and notes that
// it has that; past ones are of a stream that is over. The topic is locked.
// That a member who counts on the stream gets no offset but the next is certain here, whatever went
// wrong before.
func (o *Subscription) takes(kind broker.Kind, offset uint64, past bool) bool {
	switch {
	case kind != broker.KindPublication:
		return o.joinLeave
	case past:
		return !o.positioned
	case offset <= o.after:
		return false
	case o.positioned && o.placed && offset != o.after+1:
		o.lose()
		return false
	}
	o.after, o.placed = offset, true
	return true
}

// lose ends delivery for a member that misses something, if it counts on the stream. Somebody must tell
// it; the topic is locked.
func (o *Subscription) lose() {
	if o.positioned && !o.lost {
		o.lost = true
		o.topic.group(o.member.Encoder()).seats[o.place].member = nil
		o.topic.lost = append(o.topic.lost, o)
	}
}
