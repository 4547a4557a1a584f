package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// errFakeBroker is the error of reads that a test lets fail.
var errFakeBroker = fmt.Errorf("%w: the fake broker fails", broker.ErrUnavailable)

// fakeBroker is a broker whose every step the test decides. Publish delivers a message before it returns, unless the
// test lets messages get lost or wait.
type fakeBroker struct {
	// deliver is the hub's Deliver. It is set after the hub is made.
	deliver func(channel string, p broker.Publication)

	mu      sync.Mutex
	streams map[string]*fakeStream
	// calls holds the calls of Subscribe (+) and Unsubscribe (-).
	calls []string
	// manualConfirm makes Subscribe keep the confirmations for confirm.
	manualConfirm bool
	confirmations map[string]func()
	// lost is what Lost returns.
	lost chan struct{}
	// beforeRead runs before a read. The read returns its error.
	beforeRead func(ctx context.Context, channel string) error
	// afterRead runs when the result of a read is certain, but not returned yet. The read returns its error.
	afterRead func(ctx context.Context, channel string) error
	reads     int
	removals  int
	lastQuery broker.HistoryQuery
	// onMessage, onSubscribe and onUnsubscribe replace the behaviour of the fake, unless they are nil.
	onMessage     func(channel string, p broker.Publication)
	onSubscribe   func(channel string, confirmed func())
	onUnsubscribe func(channel string)
}

// fakeStream is the stream of one channel, and its messages that have not arrived.
type fakeStream struct {
	// order keeps messages in order.
	order        sync.Mutex
	epoch        int
	top          uint64
	publications []broker.Publication
	// dropping makes messages get lost.
	dropping bool
	// holding makes messages wait in held.
	holding bool
	held    []broker.Publication
}

func newFakeBroker() *fakeBroker {
	return &fakeBroker{streams: map[string]*fakeStream{}, confirmations: map[string]func(){}}
}

// stream returns the stream of a channel. The caller holds mu.
func (b *fakeBroker) stream(channel string) *fakeStream {
	s := b.streams[channel]
	if s == nil {
		s = &fakeStream{epoch: 1}
		b.streams[channel] = s
	}
	return s
}

func (s *fakeStream) position() broker.Position {
	return broker.Position{Offset: s.top, Epoch: fmt.Sprintf("e%d", s.epoch)}
}

// Publish appends a publication to the channel's stream, if it has a history, and sends the message. It returns no
// error.
func (b *fakeBroker) Publish(
	_ context.Context, channel string, p broker.Publication, o broker.PublishOptions,
) (broker.PublishResult, error) {
	if o.History.Size > 0 {
		p.Position = b.appendToStream(channel, &p, o.History.Size)
	}
	b.send(channel, p)
	return broker.PublishResult{Position: p.Position}, nil
}

func (b *fakeBroker) appendToStream(channel string, p *broker.Publication, size int) broker.Position {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stream(channel)
	s.top++
	p.Position = s.position()
	s.publications = append(s.publications, *p)
	s.publications = s.publications[max(0, len(s.publications)-size):]
	return p.Position
}

// send delivers, holds or drops a message.
func (b *fakeBroker) send(channel string, p broker.Publication) {
	if b.onMessage != nil {
		b.onMessage(channel, p)
		return
	}
	b.mu.Lock()
	s := b.stream(channel)
	dropping, holding := s.dropping, s.holding
	if holding && !dropping {
		s.held = append(s.held, p)
	}
	b.mu.Unlock()
	if dropping || holding {
		return
	}
	s.order.Lock()
	defer s.order.Unlock()
	b.deliver(channel, p)
}

// History implements hub.Broker. It returns the errors of beforeRead and afterRead, and the context's.
func (b *fakeBroker) History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	b.mu.Lock()
	b.reads++
	b.lastQuery = q
	before, after := b.beforeRead, b.afterRead
	b.mu.Unlock()
	if before != nil {
		if err := before(ctx, channel); err != nil {
			return broker.Stream{}, err
		}
	}
	out := b.read(channel, q)
	if after != nil {
		if err := after(ctx, channel); err != nil {
			return broker.Stream{}, err
		}
	}
	return out, ctx.Err()
}

func (b *fakeBroker) read(channel string, q broker.HistoryQuery) broker.Stream {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stream(channel)
	out := broker.Stream{Top: s.position()}
	if q.Limit == 0 || q.Since != nil && !q.Since.InEpoch(out.Top.Epoch) {
		return out
	}
	all := slices.Clone(s.publications)
	if q.Reverse {
		slices.Reverse(all)
	}
	bytes := 0
	for _, p := range all {
		if q.Since != nil && p.Offset <= q.Since.Offset {
			continue
		}
		n := len(out.Publications)
		if bytes += broker.Size(p); n == q.Limit || n > 0 && q.MaxBytes > 0 && bytes > q.MaxBytes {
			break
		}
		out.Publications = append(out.Publications, p)
	}
	return out
}

// EndEpoch implements hub.Broker. It returns no error.
func (b *fakeBroker) EndEpoch(_ context.Context, channel string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.removals++
	b.stream(channel).reset()
	return nil
}

func (s *fakeStream) reset() {
	s.epoch++
	s.top, s.publications = 0, nil
}

// Subscribe implements hub.Broker.
func (b *fakeBroker) Subscribe(channel string, confirmed func()) {
	if b.onSubscribe != nil {
		b.onSubscribe(channel, confirmed)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, "+"+channel)
	if b.manualConfirm {
		b.confirmations[channel] = confirmed
		return
	}
	confirmed()
}

// Unsubscribe implements hub.Broker.
func (b *fakeBroker) Lost(string) <-chan struct{} { return b.lost }

func (b *fakeBroker) Unsubscribe(channel string) {
	if b.onUnsubscribe != nil {
		b.onUnsubscribe(channel)
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, "-"+channel)
}

// The functions below are what a test does to a channel.

// confirm confirms a subscription that waits because of manualConfirm.
func (b *fakeBroker) confirm(channel string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.confirmations[channel]()
}

// update calls f with the stream of a channel, with mu.
func (b *fakeBroker) update(channel string, f func(s *fakeStream)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b.stream(channel))
}

// dropMessages makes the channel's messages get lost, or arrive again.
func (b *fakeBroker) dropMessages(channel string, yes bool) {
	b.update(channel, func(s *fakeStream) { s.dropping = yes })
}

// keepMessages makes the channel's messages wait until releaseMessages.
func (b *fakeBroker) keepMessages(channel string) {
	b.update(channel, func(s *fakeStream) { s.holding = true })
}

// releaseMessages delivers the messages that wait.
func (b *fakeBroker) releaseMessages(channel string) {
	var held []broker.Publication
	var stream *fakeStream
	b.update(channel, func(s *fakeStream) {
		held, s.held, s.holding = s.held, nil, false
		stream = s
	})
	stream.order.Lock()
	defer stream.order.Unlock()
	for _, p := range held {
		b.deliver(channel, p)
	}
}

// trim removes all publications of a stream but the newest n.
func (b *fakeBroker) trim(channel string, n int) {
	b.update(channel, func(s *fakeStream) {
		s.publications = slices.Clone(s.publications[max(0, len(s.publications)-n):])
	})
}

// rollBack removes the newest n publications of a stream and keeps the epoch.
func (b *fakeBroker) rollBack(channel string, n int) {
	b.update(channel, func(s *fakeStream) {
		s.top -= uint64(n)
		newer := func(p broker.Publication) bool { return p.Offset > s.top }
		s.publications = slices.DeleteFunc(slices.Clone(s.publications), newer)
	})
}

// reset ends the epoch of a stream.
func (b *fakeBroker) reset(channel string) { b.update(channel, (*fakeStream).reset) }

// onRead sets what happens before and after reads.
func (b *fakeBroker) onRead(before, after func(ctx context.Context, channel string) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beforeRead, b.afterRead = before, after
}

// counts returns how often streams were read and removed.
func (b *fakeBroker) counts() (reads, removals int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reads, b.removals
}

// failReads makes the next n reads fail.
func failReads(n int) func(context.Context, string) error {
	var mu sync.Mutex
	return func(context.Context, string) error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			return errFakeBroker
		}
		return nil
	}
}

// once runs f at the first read only.
func once(f func()) func(context.Context, string) error {
	var o sync.Once
	return func(context.Context, string) error {
		o.Do(f)
		return nil
	}
}

// blockUntil makes reads wait until a channel is closed, or until their context ends.
func blockUntil(c <-chan struct{}) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return errors.Join(broker.ErrUnavailable, ctx.Err())
		}
	}
}
