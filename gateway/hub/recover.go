package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/tagfilter"
	"github.com/wsfleet/wsfleet/internal/recovery"
	"github.com/wsfleet/wsfleet/internal/sleep"
	"github.com/wsfleet/wsfleet/internal/timeout"
)

// AttachResult is where a positioned subscriber begins: it has everything up to Position and gets everything after it.
type AttachResult struct {
	broker.Position
	// Recovered reports that Publications are all that came after the position that the subscriber had before, and that
	// its filter matches. With AttachOptions.RecoverLatest it reports that the subscriber has the latest publication,
	// with Publications at most.
	Recovered bool
	// Publications is empty unless Recovered: a part of what was missed would look like all of it. The caller must not
	// change them.
	Publications []broker.Publication
}

const (
	// readTimeout limits one read of a stream.
	readTimeout = 5 * time.Second
	// maxAttachReads is how often a stream is read for one subscriber before AttachPositioned gives up. A stream that
	// was replaced in between has to be read once more.
	maxAttachReads = 5
	// attachRetryDelay is the delay after a read that could not tell. It doubles with every read.
	attachRetryDelay = 20 * time.Millisecond
	// maxRecovered is the maximum number of publications that a subscriber recovers, and that a repair reads.
	maxRecovered = 2_000
)

var (
	// errUnstable is returned for a stream that changes faster than it can be read.
	errUnstable = errors.New("the channel's stream changes too fast")
	// errReleased is returned when a subscription was released while it was being attached.
	errReleased = errors.New("the subscription was released")
)

// AttachPositioned is Attach for a subscriber that must not miss a publication. since is the position that the
// subscriber has already, or nil. A publication that comes while the stream is read is part of the result: it is
// neither missing nor delivered twice. AttachPositioned calls first with the channel's lock and before anything else
// can be delivered. first must not block.
//
// It returns broker.ErrUnavailable when the stream cannot be read or changes too fast, broker.ErrUnrecoverable for
// AttachOptions.RequireComplete, broker.ErrTooLarge for AttachOptions.MaxRecoveredBytes, and an error when the
// subscription was released meanwhile. After an error nothing is delivered, and the caller still has to release the
// subscription, or calls AttachPositioned again.
func (s *Subscription) AttachPositioned(
	ctx context.Context, m Subscriber, o AttachOptions, since *broker.Position, first func(AttachResult),
) error {
	c := s.channel
	c.beginRecovery()
	defer c.endRecovery()
	key := c.hub.readKeyOf(since, o)
	for n := range maxAttachReads {
		r, shared, err := c.readShared(ctx, key)
		switch {
		case err != nil:
			return err
		case n == 0 && shared && key.latest && since.Epoch == r.stream.Top.Epoch && since.Offset > r.stream.Top.Offset:
			// The read is older than what the subscriber has: others began it.
			continue
		}
		found, attached, err := s.attachAt(r, m, o, since, first)
		switch {
		case attached || err != nil:
			return err
		case found == comparisonSame:
			return errReleased
		case found != comparisonUncertain:
			found = c.replaceStream(r.before, r.stream.Top, false)
			c.notifyInsufficient()
		}
		if found == comparisonUncertain {
			_ = sleep.For(ctx, attachRetryDelay<<n) // the next attempt reports a context that has ended
		}
	}
	return fmt.Errorf("%w: %w", broker.ErrUnavailable, errUnstable)
}

// beginRecovery keeps what is delivered from now on, for a subscriber that reads the stream.
func (c *channelState) beginRecovery() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracker.beginRecovery()
}

// endRecovery is the end of beginRecovery.
func (c *channelState) endRecovery() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tracker.endRecovery()
}

// attachAt attaches the subscriber behind what was read of the stream and what was delivered since, if they fit. It
// returns broker.ErrUnrecoverable for AttachOptions.RequireComplete, and broker.ErrTooLarge for
// AttachOptions.MaxRecoveredBytes.
func (s *Subscription) attachAt(
	r streamRead, m Subscriber, o AttachOptions, since *broker.Position, first func(AttachResult),
) (found comparison, attached bool, err error) {
	c := s.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	missed, at, found := c.tracker.attachPoint(r.before, r.stream.Top)
	if found != comparisonSame {
		return found, false, nil
	}
	result := AttachResult{Position: at}
	if since != nil {
		result.Publications, result.Recovered = c.recovered(*since, at, r.stream.Publications, missed, o)
		cut := r.isCut() && !c.rolledBack(*since, at)
		if o.RecoverLatest {
			// The latest ones come first. Those that match may be beyond the end of the read.
			cut = o.Filter != nil && !result.Recovered && len(r.stream.Publications) > 0
		}
		if o.MaxRecoveredBytes > 0 && (cut || sizeOf(result.Publications) > o.MaxRecoveredBytes) {
			return found, false, broker.ErrTooLarge
		}
	}
	if o.RequireComplete && since != nil && !result.Recovered {
		return found, false, broker.ErrUnrecoverable
	}
	return found, s.attach(m, o, at, func() { first(result) }), nil
}

// recovered returns what a subscriber at a position gets to be at another: what came after, or the latest publication,
// unless the subscriber has it; of those that its filter matches. read were read from the stream, and missed were
// delivered after the read. It reports false when something is missing, or when it exceeds Options.MaxRecoveredBytes.
// The caller holds mu.
func (c *channelState) recovered(
	since, to broker.Position, read, missed []broker.Publication, o AttachOptions,
) (ps []broker.Publication, ok bool) {
	rolledBack, limit := c.rolledBack(since, to), c.hub.options.MaxRecoveredBytes
	switch {
	case o.RecoverLatest && rolledBack:
		// Whatever the subscriber has may be another publication.
		ps, ok = latestAt(broker.Position{}, to, read, missed, o.Filter)
	case o.RecoverLatest:
		ps, ok = latestAt(since, to, read, missed, o.Filter)
	case !rolledBack:
		ps, ok = allAfter(since, to, read, missed)
		ps = wanted(ps, o.Filter)
	}
	if !ok || limit > 0 && sizeOf(ps) > limit {
		return nil, false
	}
	return ps, true
}

// rolledBack reports whether the position of a subscriber, in a channel that is at another position, may stand for two
// publications. The caller holds mu.
func (c *channelState) rolledBack(since, to broker.Position) bool {
	return c.tracker.rolledBackEpoch == cmp.Or(since.Epoch, to.Epoch)
}

// allAfter returns all publications after a position up to another, or false when one is missing.
func allAfter(since, to broker.Position, read, missed []broker.Publication) ([]broker.Publication, bool) {
	if !since.InEpoch(to.Epoch) || since.Offset > to.Offset {
		return nil, false
	}
	all := read
	if len(missed) > 0 {
		all = slices.Concat(read, missed)
	}
	return all, uint64(len(all)) == to.Offset-since.Offset && contiguous(all, since.Offset)
}

// latestAt returns the latest publication up to a position that a filter matches. It returns none and true for a
// subscriber that has it, and false when the stream has no such publication any more or yet. read begins with the
// latest one, missed with the earliest.
func latestAt(
	since, to broker.Position, read, missed []broker.Publication, f *tagfilter.Filter,
) ([]broker.Publication, bool) {
	if since == to && to.Offset > 0 {
		return nil, true
	}
	isBehind, next := since.Epoch == to.Epoch && since.Offset < to.Offset, to.Offset
	for i := range len(missed) + len(read) {
		var p *broker.Publication
		if i < len(missed) {
			p = &missed[len(missed)-1-i]
		} else {
			p = &read[i-len(missed)]
		}
		switch {
		case p.Offset != next:
			return nil, false
		case isBehind && p.Offset <= since.Offset:
			return nil, true
		case f.Matches(p.Tags):
			return []broker.Publication{*p}, true
		}
		next--
	}
	return nil, false
}

// sizeOf returns the size of publications in bytes.
func sizeOf(all []broker.Publication) (bytes int) {
	for _, p := range all {
		bytes += broker.Size(p)
	}
	return bytes
}

// streamRead is the result of a read of a stream.
type streamRead struct {
	// before is what was known of the stream when the read began.
	before snapshot
	stream broker.Stream
}

// isCut reports whether the read ended before the end of the stream.
func (r streamRead) isCut() bool {
	all := r.stream.Publications
	return len(all) > 0 && all[len(all)-1].Offset < r.stream.Top.Offset
}

// readKey is what one read of a stream answers. top says that only the top is asked for, latest that the latest
// publication is, too, and matching that it is not known which one that is.
type readKey struct {
	top      bool
	latest   bool
	matching bool
	since    broker.Position
	maxBytes int
}

// query returns what the broker is asked. The read ends early at a bound. Then what is beyond is missing, and nothing
// is recovered.
func (k readKey) query() broker.HistoryQuery {
	switch {
	case k.top:
		return broker.HistoryQuery{}
	case k.matching:
		return broker.HistoryQuery{Limit: maxRecovered, MaxBytes: k.maxBytes, Reverse: true}
	case k.latest:
		return broker.HistoryQuery{Limit: 1, Reverse: true}
	}
	return broker.HistoryQuery{Since: &k.since, Limit: maxRecovered, MaxBytes: k.maxBytes}
}

// readKeyOf returns the key of the read for a subscriber that was at a position, or at none when since is nil.
// AttachOptions.MaxRecoveredBytes bounds a read of more than one publication if it is less than
// Options.MaxRecoveredBytes.
func (h *Hub) readKeyOf(since *broker.Position, o AttachOptions) readKey {
	bound := h.options.MaxRecoveredBytes
	if o.MaxRecoveredBytes > 0 && (bound == 0 || o.MaxRecoveredBytes < bound) {
		bound = o.MaxRecoveredBytes
	}
	switch {
	case since == nil:
		return readKey{top: true}
	case o.RecoverLatest && o.Filter != nil:
		return readKey{latest: true, matching: true, maxBytes: bound}
	case o.RecoverLatest:
		return readKey{latest: true}
	}
	return readKey{since: *since, maxBytes: bound}
}

// sharedRead is a read of a stream that is under way. The caller that began it reads, in its own goroutine.
type sharedRead struct {
	key readKey
	// over is closed at the end of the read. It is nil until another caller waits for that. The channel's mu guards it.
	over chan struct{}
	// The fields below are set before the read is over.
	result streamRead
	err    error
	// abandoned reports that the caller that read gave up before the broker answered.
	abandoned bool
}

// readShared reads the stream for k. Subscribers that come back together have often seen the same, so that they share
// one read: it serves callers that arrive during it as well as their own read would. shared reports that another caller
// has begun it. readShared returns broker.ErrUnavailable when the context ends first, and the error of the read.
func (c *channelState) readShared(ctx context.Context, k readKey) (read streamRead, shared bool, err error) {
	for {
		r, begins := c.joinRead(k)
		if begins {
			r.result, r.err = c.read(ctx, k.query())
			r.abandoned = r.err != nil && ctx.Err() != nil
			c.endRead(r)
		} else {
			select {
			case <-r.over:
			case <-ctx.Done():
				return streamRead{}, true, broker.ErrUnavailable
			}
		}
		switch {
		case r.err == nil:
			return r.result, !begins, nil
		case begins || !r.abandoned:
			return streamRead{}, !begins, fmt.Errorf("read the stream: %w", r.err)
		}
	}
}

// joinRead returns the read for k that is under way, or begins one. The caller that begins it calls endRead.
func (c *channelState) joinRead(k readKey) (r *sharedRead, begins bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.reads {
		if r.key == k {
			if r.over == nil {
				r.over = make(chan struct{})
			}
			return r, false
		}
	}
	r = &sharedRead{key: k}
	c.reads = append(c.reads, r)
	return r, true
}

// endRead ends a read, with its result, for the callers that wait.
func (c *channelState) endRead(r *sharedRead) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.reads, r)
	c.reads = slices.Delete(c.reads, i, i+1)
	if r.over != nil {
		close(r.over)
	}
}

// read reads the stream once. A panic becomes recovery.ErrPanic, because it must not leave the callers that share the
// read waiting.
func (c *channelState) read(ctx context.Context, q broker.HistoryQuery) (r streamRead, err error) {
	channel := slog.String("channel", c.name)
	defer recovery.ToError(&err, c.hub.options.Logger, "read of a channel's stream panicked", channel)
	r.before = c.snapshot()
	r.stream, err = c.history(ctx, q)
	return r, err
}

// history asks the broker for a part of the stream, within readTimeout. It returns broker.ErrUnavailable when that time
// or the context ends first, and the broker's error.
func (c *channelState) history(ctx context.Context, q broker.HistoryQuery) (broker.Stream, error) {
	ctx, cancel := timeout.After(ctx, readTimeout)
	defer cancel()
	stream, err := c.hub.broker.History(ctx, c.name, q)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
	}
	return stream, err
}

// snapshot returns what is known of the stream now.
func (c *channelState) snapshot() snapshot {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.tracker.snapshot()
}
