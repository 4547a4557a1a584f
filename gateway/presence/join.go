package presence

import (
	"context"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Join makes a client a member of a channel, and publishes nothing yet. It cancels a leave of the same member that has
// not begun. It returns broker.ErrUnavailable when the context ends while another call for the member runs, and the
// broker's error.
//
// Without an error the caller must call finish exactly once, when it knows whether the client's subscription has begun.
// All other calls for the member wait until then. finish(true) publishes the join, unless the member's user was present
// a moment ago. finish(false) removes the member, after the grace if other clients know of it, and without a leave if
// they do not.
func (k *Keeper) Join(
	ctx context.Context, channel string, m broker.ClientInfo,
) (finish func(attached bool), err error) {
	key := memberKey{channel, m.Client}
	canceled, ok := k.serializer.acquireForJoin(ctx, key)
	if !ok {
		return nil, broker.ErrUnavailable
	}
	j := pendingJoin{member: m, canceled: canceled, fresh: canceled == nil}
	defer func() {
		// Deferred, so that a panic of the broker does not leave the key acquired. After an error it is unknown whether
		// the client is a member, so that it is removed.
		if finish == nil {
			k.undo(key, j)
		}
	}()
	fresh, gone, err := k.options.Broker.Join(ctx, channel, m, k.options.TTL)
	if err != nil {
		return nil, err
	}
	j.fresh = fresh
	return func(attached bool) {
		if attached {
			k.confirm(ctx, key, j)
		} else {
			k.undo(key, j)
		}
		k.publishLeaves(ctx, channel, gone)
	}, nil
}

// pendingJoin is a member whose join has not been published.
type pendingJoin struct {
	member broker.ClientInfo
	// canceled is the leave that the join canceled, or nil.
	canceled *pendingLeave
	// fresh is true when neither the member nor its user was present.
	fresh bool
}

// unannounced reports whether no join was ever published for the member. A member that was present may itself have
// been about to leave without a notification.
func (j pendingJoin) unannounced() bool { return j.fresh || j.canceled != nil && j.canceled.noNotify }

// confirm publishes the join, if it is news, and releases the key.
func (k *Keeper) confirm(ctx context.Context, key memberKey, j pendingJoin) {
	defer k.serializer.release(key)
	if j.unannounced() {
		k.publish(ctx, key.channel, broker.KindJoin, j.member)
	}
}

// undo queues the removal of a member whose subscription did not begin, and releases the key.
func (k *Keeper) undo(key memberKey, j pendingJoin) {
	defer k.serializer.release(key)
	l := pendingLeave{info: j.member}
	switch {
	case j.unannounced():
		l.noNotify = true
	case j.canceled != nil:
		l.grace = j.canceled.grace
	default:
		// The member or its user had left, and its grace begins again.
		l.grace = k.options.Grace
	}
	k.serializer.addLeave(key, l)
}
