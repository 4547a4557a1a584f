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
// All other calls for the member wait until then. finish(true) publishes the join, unless other clients know of the
// member. finish(false) removes the member, after the grace if other clients know of it, and without a leave if they do
// not. Both publish the leave of the lost connection of the same user whose place the member has taken.
func (k *Keeper) Join(
	ctx context.Context, channel string, m broker.ClientInfo,
) (finish func(attached bool), err error) {
	key := memberKey{channel, m.Client}
	canceled, ok := k.serializer.acquireForJoin(ctx, key)
	if !ok {
		return nil, broker.ErrUnavailable
	}
	// Not given up when the client leaves: a join that is still on its way could overtake the leave that follows.
	ctx = context.WithoutCancel(ctx)
	j := &pendingJoin{keeper: k, ctx: ctx, channel: channel, member: m, canceled: canceled, fresh: canceled == nil}
	defer func() {
		// Deferred, so that a panic of the broker does not leave the key acquired. After an error it is unknown whether
		// the client is a member, so that it is removed.
		if finish == nil {
			j.undo()
		}
	}()
	joined, err := k.options.Broker.Join(ctx, channel, m, k.options.TTL)
	if err != nil {
		return nil, err
	}
	j.fresh, j.replaced = joined != broker.JoinRenewed, joined == broker.JoinReplaced
	return j.finish, nil
}

// pendingJoin is a member whose join has not been published. There is one for each subscription, so that it holds all
// that its end needs.
type pendingJoin struct {
	keeper *Keeper
	// ctx is that of the join, and is never canceled.
	ctx     context.Context
	channel string
	member  broker.ClientInfo
	// canceled is the leave that the join canceled, or nil.
	canceled *pendingLeave
	// fresh is true when the member was not present.
	fresh bool
	// replaced is true when a lost connection of the member's user has expired.
	replaced bool
}

// unannounced reports whether no join was ever published for the member. A member that was present may itself have
// been about to leave without a notification.
func (j *pendingJoin) unannounced() bool { return j.fresh || j.canceled != nil && j.canceled.noNotify }

// key returns the key of the member.
func (j *pendingJoin) key() memberKey { return memberKey{j.channel, j.member.Client} }

// finish is what Keeper.Join returns.
func (j *pendingJoin) finish(attached bool) {
	if attached {
		j.confirm()
	} else {
		j.undo()
	}
}

// confirm publishes the join, if it is news, and releases the key.
func (j *pendingJoin) confirm() {
	defer j.keeper.serializer.release(j.key())
	j.sweepReplaced()
	if j.unannounced() {
		j.keeper.publish(j.ctx, j.channel, broker.KindJoin, j.member)
	}
}

// undo queues the removal of a member whose subscription did not begin, and releases the key.
func (j *pendingJoin) undo() {
	k := j.keeper
	defer k.serializer.release(j.key())
	j.sweepReplaced()
	l := pendingLeave{channel: j.channel, info: j.member}
	switch {
	case j.unannounced():
		l.noNotify = true
	case j.canceled != nil:
		l.grace = j.canceled.grace
	default:
		// The member's connection was lost, and its grace begins again.
		l.grace = k.options.Grace
	}
	k.serializer.addLeaves(j.member.Client, []pendingLeave{l})
}

// sweepReplaced publishes the leave of the connection whose place the member has taken. It goes before the join,
// because other clients keep lists by client, and some by user. Where leaves are not published the sweep can wait.
func (j *pendingJoin) sweepReplaced() {
	if j.replaced && j.keeper.options.Hub.Rule(j.channel).JoinLeave {
		j.keeper.sweep(j.ctx, j.channel)
	}
}

// Update shows what other clients see of a member now, which info returns, or false when the member has left. It
// publishes nothing. It returns broker.ErrUnavailable when the context ends while another call for the member runs, and
// the broker's error.
func (k *Keeper) Update(
	ctx context.Context, channel, client string, info func() (broker.ClientInfo, bool),
) error {
	key := memberKey{channel, client}
	if !k.serializer.acquire(ctx, key) {
		return broker.ErrUnavailable
	}
	defer k.serializer.release(key)
	m, present := info()
	if !present {
		return nil
	}
	joined, err := k.options.Broker.Join(ctx, channel, m, k.options.TTL)
	if joined == broker.JoinReplaced {
		k.sweep(ctx, channel)
	}
	return err
}
