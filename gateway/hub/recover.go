package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/recovery"
	"github.com/wsfleet/wsfleet/internal/sleep"
)

// AttachResult is how a member that counts on a channel's stream begins: it has everything up to the
// position, and gets everything after it.
type AttachResult struct {
	broker.Position
	// Recovered: Publications are all that came after the position that the member had before. They are
	// empty otherwise: part of what was missed would look like all of it. They must not be changed.
	Recovered    bool
	Publications []broker.Publication
}

// Times and bounds of reading a stream.
const (
	readTimeout = 5 * time.Second
	// joinReads is how often a stream is read for one member before it is told to try again: once more
	// is needed when the stream was reset in between. joinPause is how long it waits when nobody can tell
	// yet, and doubles.
	joinReads = 5
	joinPause = 20 * time.Millisecond
	// mostRecovered is how many publications a member can have missed, and a repair can close.
	mostRecovered = 2_000
)

var (
	// errUnsettled is a stream that changes faster than it can be read.
	errUnsettled = errors.New("the channel's stream changes too fast")
	// ErrUnrecoverable is a position that the stream cannot be continued from, for who asked for Whole.
	ErrUnrecoverable = errors.New("the stream cannot be continued from that position")
	// errBug is a read that met a bug; the log says more.
	errBug = errors.New("a bug in the gateway")
	// errReleased is a member that left while it joined.
	errReleased = errors.New("the hold was released")
)

// Join is Attach for a member that counts on the channel's stream. since is the position that it has
// already, or nil. What is published while the stream is read is part of the answer: it is neither
// missing nor there twice. first gets the answer before anything else can be delivered, and must not
// block. After an error nothing is delivered, and the hold is still to be released.
func (o *Subscription) AttachPositioned(ctx context.Context, m Subscriber, i AttachOptions, since *broker.Position, first func(AttachResult)) error {
	t := o.topic
	t.keep()
	defer t.kept()
	for n := range joinReads {
		r, err := t.read(ctx, since)
		if err != nil {
			return err
		}
		f, in, err := o.joinAt(r, m, i, since, first)
		switch {
		case in || err != nil:
			return err
		case f == findingSame:
			return errReleased
		case f != findingUnsure:
			f = t.replace(r.mark, r.stream.Top, false)
			t.tell()
		}
		if f == findingUnsure {
			_ = sleep.For(ctx, joinPause<<n) // the next attempt reports a context that has ended
		}
	}
	return fmt.Errorf("%w: %w", broker.ErrUnavailable, errUnsettled)
}

// keep makes the topic keep what goes out while a member reads the stream, and kept ends it.
func (t *topic) keep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sequence.join()
}

func (t *topic) kept() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sequence.joined()
}

// joinAt attaches the member at what was read of the stream and what went out since, if they fit.
func (o *Subscription) joinAt(r read, m Subscriber, i AttachOptions, since *broker.Position, first func(AttachResult)) (f finding, in bool, err error) {
	t := o.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	missing, at, f := t.sequence.meet(r.mark, r.stream.Top)
	if f != findingSame {
		return f, false, nil
	}
	joined := AttachResult{Position: at}
	if since != nil && since.Epoch != t.sequence.wentBack {
		joined.Publications, joined.Recovered = t.hub.recovered(*since, at, r.stream.Publications, missing)
	}
	if i.RequireComplete && since != nil && !joined.Recovered {
		return f, false, ErrUnrecoverable
	}
	return f, o.attach(m, i, at, func() { first(joined) }), nil
}

// recovered is all that came after a position up to another, if it is all there.
func (h *Hub) recovered(since, to broker.Position, read, missing []broker.Publication) ([]broker.Publication, bool) {
	if since.Epoch != to.Epoch || since.Offset > to.Offset {
		return nil, false
	}
	all := slices.Concat(read, missing)
	if uint64(len(all)) != to.Offset-since.Offset || !contiguous(all, since.Offset) {
		return nil, false
	}
	bytes := 0
	for _, p := range all {
		bytes += broker.Size(p)
	}
	if h.options.MaxRecoveredBytes > 0 && bytes > h.options.MaxRecoveredBytes {
		return nil, false
	}
	return all, true
}

// read is what a look at a stream gave, and what was known when it began.
type read struct {
	mark   mark
	stream broker.Stream
}

// read is the stream after a position, or just where it is. Members that come back together have
// often seen the same: they share one read, which is as good for who comes while it is under way.
func (t *topic) read(ctx context.Context, since *broker.Position) (read, error) {
	query, key := broker.HistoryQuery{}, ""
	if since != nil {
		// What is beyond a bound is missing from what is read, so that nothing is recovered.
		query = broker.HistoryQuery{Since: since, Limit: mostRecovered, Bytes: t.hub.options.MaxRecoveredBytes}
		key = fmt.Sprintf("%d %s", since.Offset, since.Epoch)
	}
	shared := t.reads.DoChan(key, func() (any, error) {
		// Whoever came first may be gone before the others have what they wait for.
		return t.look(context.WithoutCancel(ctx), query)
	})
	select {
	case r := <-shared:
		if r.Err != nil {
			return read{}, fmt.Errorf("read the stream: %w", r.Err)
		}
		return r.Val.(read), nil
	case <-ctx.Done():
		return read{}, broker.ErrUnavailable
	}
}

// look is one read. A bug that it meets must not end the gateway: those who wait for it are on other
// goroutines, where nobody would recover it.
func (t *topic) look(ctx context.Context, q broker.HistoryQuery) (r read, err error) {
	defer recovery.ToError(&err, errBug, t.hub.options.Logger, "read of a channel's stream failed")
	r.mark = t.mark()
	r.stream, err = t.history(ctx, q)
	return r, err
}

// history asks the broker, for as long as the hub is there and not for long.
func (t *topic) history(ctx context.Context, q broker.HistoryQuery) (broker.Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	defer context.AfterFunc(t.hub.life, cancel)() //nolint:contextcheck // the hub's life is a bound of its own
	s, err := t.hub.broker.History(ctx, t.channel, q)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
	}
	return s, err
}

func (t *topic) mark() mark {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sequence.mark()
}
