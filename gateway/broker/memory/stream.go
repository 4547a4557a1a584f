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

// streams are the streams of one stripe's channels. mu is held while a publication is delivered, so that concurrent
// publications to a channel reach every subscriber in one order.
type streams struct {
	mu   sync.Mutex
	open map[string]*stream
	// published holds the results of publications by channel and idempotency key.
	published expiringMap[published]
}

// published is the use of an idempotency key and its result.
type published struct {
	fingerprint broker.Fingerprint
	position    broker.Position
}

// stream is one channel's stream. The publications expire at until, the position at positionUntil or later.
type stream struct {
	publications  []broker.Publication
	top           broker.Position
	until         time.Time
	positionUntil time.Time
}

// Publish implements broker.Publisher. It copies Data, and neither Info nor Tags. It returns
// broker.ErrIdempotencyConflict.
func (b *Broker) Publish(_ context.Context, channel string, p broker.Publication,
	o broker.PublishOptions) (broker.PublishResult, error) {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	var mark published
	var key string
	if o.IdempotencyKey != "" {
		// The length separates channel and key.
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

// again returns the result of another publication with the key, or broker.ErrIdempotencyConflict.
func (p published) again(f broker.Fingerprint) (broker.PublishResult, error) {
	if p.fingerprint != f {
		return broker.PublishResult{}, broker.ErrIdempotencyConflict
	}
	return broker.PublishResult{Position: p.position, Repeated: true}, nil
}

// History implements broker.HistoryReader. It never returns an error.
func (b *Broker) History(_ context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.of(channel, time.Now()).read(q), nil
}

// RemoveHistory implements broker.History. It never returns an error.
func (b *Broker) RemoveHistory(_ context.Context, channel string) error {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.open[channel]; st != nil {
		st.publications = nil
	}
	return nil
}

// EndEpoch implements broker.History. It never returns an error.
func (b *Broker) EndEpoch(_ context.Context, channel string) error {
	s := &b.streams[b.stripe(channel)]
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, channel)
	return nil
}

// of returns a channel's stream, a new one if it has none. The caller holds mu.
func (s *streams) of(channel string, now time.Time) *stream {
	st := s.open[channel]
	if st == nil || !st.positionUntil.After(now) {
		st = &stream{top: broker.Position{Epoch: broker.NewEpoch()}}
		// A copy, because the caller's string may be a part of a large message.
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

// sweep removes what has expired.
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

// add appends a copy of a publication, and returns it with its position. The publisher may reuse the data.
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

// read returns the part that q asks for.
func (st *stream) read(q broker.HistoryQuery) broker.Stream {
	out := broker.Stream{Top: st.top}
	if q.Limit == 0 || q.Since != nil && !q.Since.InEpoch(st.top.Epoch) {
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

// fitting returns how many of the publications are within the bounds of q.
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

// beside returns the publications after a position, or before it.
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
