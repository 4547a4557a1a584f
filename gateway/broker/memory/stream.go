package memory

import (
	"bytes"
	"cmp"
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// streams are those of one stripe's channels. Its lock is held while a publication is delivered, which
// makes concurrent publications to a channel reach every subscriber in one order.
type streams struct {
	mu   sync.Mutex
	open map[string]*stream
	// published are by channel and idempotency key.
	published lapsing[published]
}

// published is what an idempotency key was used for, and what came of it.
type published struct {
	fingerprint broker.Fingerprint
	position    broker.Position
}

// stream is what is kept of one channel. The publications are over before the position is.
type stream struct {
	publications  []broker.Publication
	top           broker.Position
	until         time.Time
	positionUntil time.Time
}

// Publish implements broker.Broker. Info and Tags of what is kept are not copied.
func (b *Broker) Publish(_ context.Context, channel string, p broker.Publication, o broker.PublishOptions) (broker.PublishResult, error) {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	var mark published
	var key string
	if o.IdempotencyKey != "" {
		// The length keeps channel and key apart.
		key = strconv.Itoa(len(channel)) + ":" + channel + o.IdempotencyKey
		mark.fingerprint = o.KeyFingerprint(p)
		if first, ok := s.published.get(key); ok {
			return first.again(mark.fingerprint)
		}
	}
	p.Position = broker.Position{}
	if o.History.Size > 0 {
		p = s.of(channel, time.Now()).add(p, o.History)
	}
	if o.IdempotencyKey != "" {
		mark.position = p.Position
		s.published.put(key, mark, broker.IdempotencyTTL)
	}
	b.start.deliver(channel, p)
	return broker.PublishResult{Position: p.Position}, nil
}

// again is the result of another publication with the key.
func (p published) again(f broker.Fingerprint) (broker.PublishResult, error) {
	if p.fingerprint != f {
		return broker.PublishResult{}, broker.ErrIdempotencyConflict
	}
	return broker.PublishResult{Position: p.position, Repeated: true}, nil
}

// History implements broker.Broker.
func (b *Broker) History(_ context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(channel, time.Now()).read(q), nil
}

// RemoveHistory implements broker.Broker.
func (b *Broker) RemoveHistory(_ context.Context, channel string) error {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, channel)
	return nil
}

// of is a channel's stream, a new one if it has none.
func (s *streams) of(channel string, now time.Time) *stream {
	st := s.open[channel]
	if st == nil || !st.positionUntil.After(now) {
		st = &stream{top: broker.Position{Epoch: broker.NewEpoch()}}
		// The caller's string may be a piece of a message, all of which would be kept with it.
		s.open[strings.Clone(channel)] = st
	}
	if st.top.Offset == 0 {
		st.positionUntil = now.Add(broker.EmptyTTL)
	}
	if !st.until.After(now) {
		st.publications = nil
	}
	return st
}

// sweep throws away what is over.
func (s *streams) sweep(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for channel, st := range s.open {
		if !st.positionUntil.After(now) {
			delete(s.open, channel)
		} else if !st.until.After(now) {
			st.publications = nil
		}
	}
	s.published.sweep(now)
}

// add appends a publication, and returns it with its position. Whoever published may use the data's
// memory again.
func (st *stream) add(p broker.Publication, h channel.History) broker.Publication {
	now := time.Now()
	st.top.Offset++
	p.Position, p.Data = st.top, bytes.Clone(p.Data)
	st.publications = append(st.publications, p)
	if over := len(st.publications) - h.Size; over > 0 {
		clear(st.publications[:over])
		st.publications = st.publications[over:]
	}
	st.until, st.positionUntil = now.Add(time.Duration(h.TTL)), now.Add(broker.PositionTTL(h))
	return p
}

// read returns the part that is asked for.
func (st *stream) read(q broker.HistoryQuery) broker.Stream {
	out := broker.Stream{Top: st.top}
	if q.Limit == 0 || q.Since != nil && q.Since.Epoch != st.top.Epoch {
		return out
	}
	part := st.publications
	if q.Since != nil {
		part = st.beside(*q.Since, q.Reverse)
	}
	if !q.Reverse {
		out.Publications = slices.Clone(part[:fitting(slices.All(part), q)])
		return out
	}
	out.Publications = slices.Clone(part[len(part)-fitting(slices.Backward(part), q):])
	slices.Reverse(out.Publications)
	return out
}

// fitting is how many publications are asked for and fit.
func fitting(all iter.Seq2[int, broker.Publication], q broker.HistoryQuery) (n int) {
	bytes := 0
	for _, p := range all {
		if bytes += broker.Size(p); n == q.Limit || n > 0 && q.MaxBytes > 0 && bytes > q.MaxBytes {
			break
		}
		n++
	}
	return n
}

// beside is what is after a position, or before it.
func (st *stream) beside(since broker.Position, before bool) []broker.Publication {
	i, found := slices.BinarySearchFunc(st.publications, since.Offset, func(p broker.Publication, offset uint64) int {
		return cmp.Compare(p.Offset, offset)
	})
	if before {
		return st.publications[:i]
	}
	if found {
		i++
	}
	return st.publications[i:]
}
