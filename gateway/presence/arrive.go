package presence

import (
	"context"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Join makes a member present, and tells nobody yet. Unless it fails, settle must be called once; until
// then nothing else happens to the member. When what it came for has begun, the channel is told, unless
// the member's user was there a moment ago; else the member is taken out again in a while, and as if it
// had not come. A leave of the same member that has not begun yet is taken back.
func (k *Keeper) Join(ctx context.Context, channel string, m broker.ClientInfo) (settle func(begun bool), err error) {
	who := seat{channel, m.Client}
	before, ok := k.turns.come(ctx, who)
	if !ok {
		return nil, broker.ErrUnavailable
	}
	a := arrival{member: m, before: before, fresh: before == nil}
	defer func() {
		// Deferred: a bug of the broker's must not keep the seat for good.
		if settle == nil {
			k.turnBack(who, a)
		}
	}()
	fresh, gone, err := k.options.Broker.Join(ctx, channel, m, k.options.TTL)
	if err != nil {
		// Nobody knows whether it is a member now.
		return nil, err
	}
	a.fresh = fresh
	return func(begun bool) {
		if begun {
			k.letIn(ctx, who, a)
		} else {
			k.turnBack(who, a)
		}
		k.gone(ctx, channel, gone)
	}, nil
}

// arrival is a member that has come, and that nobody was told of.
type arrival struct {
	member broker.ClientInfo
	// before is the leave that it took back; nil: none.
	before *leave
	// fresh: neither it nor its user was there.
	fresh bool
}

// unknown tells whether nobody has ever been told of the member: what was there may itself have been
// about to go without a word.
func (a arrival) unknown() bool { return a.fresh || a.before != nil && a.before.untold }

// letIn tells the channel of a member that has come, if that is news, and ends its turn.
func (k *Keeper) letIn(ctx context.Context, who seat, a arrival) {
	defer k.turns.done(who)
	if a.unknown() {
		k.tell(ctx, who.channel, broker.KindJoin, a.member)
	}
}

// turnBack takes out a member that nothing came of, and ends its turn.
func (k *Keeper) turnBack(who seat, a arrival) {
	defer k.turns.done(who)
	l := leave{info: a.member}
	switch {
	case a.unknown():
		l.untold = true
	case a.before != nil:
		l.grace = a.before.grace
	default:
		// It or its user had gone, and is waited for once more.
		l.grace = k.options.Grace
	}
	k.turns.leave(who, l)
}
