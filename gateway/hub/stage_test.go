package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// errStage is what a read of a stage says that fails.
var errStage = fmt.Errorf("%w: the stage says so", broker.ErrUnavailable)

// stage is a broker whose every move the test decides. Messages are delivered by whoever publishes,
// unless they are lost or held.
type stage struct {
	// deliver is the hub's, which is made after its broker.
	deliver func(channel string, p broker.Publication)

	mu    sync.Mutex
	plays map[string]*play
	// calls are the subscriptions (+) and their ends (-).
	calls []string
	// shy: subscriptions are confirmed when the test says so.
	shy       bool
	confirmed map[string]func()
	// onHistory, when there is one, runs before a read with begin, and after what is read is certain,
	// but not returned yet, with end.
	begin, end func(ctx context.Context, channel string) error
	reads      int
	removed    int
	// asked is what the latest read was for.
	asked broker.HistoryQuery
	// route, when there is one, takes messages in the stage's place; usher and farewell take
	// subscriptions and their ends.
	route    func(channel string, p broker.Publication)
	usher    func(channel string, confirmed func())
	farewell func(channel string)
}

// play is one channel's stream, and its messages on their way.
type play struct {
	// turn keeps messages in order.
	turn  sync.Mutex
	epoch int
	top   uint64
	kept  []broker.Publication
	// lossy: messages are lost. held: they wait, on their way.
	lossy, held bool
	onTheirWay  []broker.Publication
}

func newStage() *stage {
	return &stage{plays: map[string]*play{}, confirmed: map[string]func(){}}
}

func (s *stage) play(channel string) *play {
	p := s.plays[channel]
	if p == nil {
		p = &play{epoch: 1}
		s.plays[channel] = p
	}
	return p
}

func (p *play) position() broker.Position {
	return broker.Position{Offset: p.top, Epoch: fmt.Sprintf("e%d", p.epoch)}
}

// Publish implements broker.Broker.
func (s *stage) Publish(_ context.Context, channel string, p broker.Publication, o broker.PublishOptions) (broker.PublishResult, error) {
	if o.History.Size > 0 {
		p.Position = s.keep(channel, &p, o.History.Size)
	}
	s.send(channel, p)
	return broker.PublishResult{Position: p.Position}, nil
}

// keep puts a publication into the stream.
func (s *stage) keep(channel string, p *broker.Publication, size int) broker.Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	y := s.play(channel)
	y.top++
	p.Position = y.position()
	y.kept = append(y.kept, *p)
	y.kept = y.kept[max(0, len(y.kept)-size):]
	return p.Position
}

// send is the way of a message.
func (s *stage) send(channel string, p broker.Publication) {
	if s.route != nil {
		s.route(channel, p)
		return
	}
	s.mu.Lock()
	y := s.play(channel)
	lossy, held := y.lossy, y.held
	if held && !lossy {
		y.onTheirWay = append(y.onTheirWay, p)
	}
	s.mu.Unlock()
	if lossy || held {
		return
	}
	y.turn.Lock()
	defer y.turn.Unlock()
	s.deliver(channel, p)
}

// History implements broker.Broker.
func (s *stage) History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	s.mu.Lock()
	s.reads++
	s.asked = q
	begin, end := s.begin, s.end
	s.mu.Unlock()
	if begin != nil {
		if err := begin(ctx, channel); err != nil {
			return broker.Stream{}, err
		}
	}
	out := s.look(channel, q)
	if end != nil {
		if err := end(ctx, channel); err != nil {
			return broker.Stream{}, err
		}
	}
	return out, ctx.Err()
}

func (s *stage) look(channel string, q broker.HistoryQuery) broker.Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	y := s.play(channel)
	out := broker.Stream{Top: y.position()}
	if q.Limit == 0 || q.Since != nil && q.Since.Epoch != out.Top.Epoch {
		return out
	}
	bytes := 0
	for _, p := range y.kept {
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

// RemoveHistory implements broker.Broker.
func (s *stage) RemoveHistory(_ context.Context, channel string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed++
	s.play(channel).reset()
	return nil
}

func (p *play) reset() {
	p.epoch++
	p.top, p.kept = 0, nil
}

// Subscribe implements broker.Broker.
func (s *stage) Subscribe(channel string, confirmed func()) {
	if s.usher != nil {
		s.usher(channel, confirmed)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "+"+channel)
	if s.shy {
		s.confirmed[channel] = confirmed
		return
	}
	confirmed()
}

// Unsubscribe implements broker.Broker.
func (s *stage) Unsubscribe(channel string) {
	if s.farewell != nil {
		s.farewell(channel)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, "-"+channel)
}

func (s *stage) confirm(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.confirmed[channel]()
}

// What a test does to a channel.

// with changes a channel's fortune.
func (s *stage) with(channel string, f func(y *play)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.play(channel))
}

// lose makes messages get lost, or not any more; hold makes them wait on their way.
func (s *stage) lose(channel string, yes bool) { s.with(channel, func(y *play) { y.lossy = yes }) }
func (s *stage) hold(channel string)           { s.with(channel, func(y *play) { y.held = true }) }

// release lets messages arrive that are on their way.
func (s *stage) release(channel string) {
	var arriving []broker.Publication
	var y *play
	s.with(channel, func(p *play) {
		arriving, p.onTheirWay, p.held = p.onTheirWay, nil, false
		y = p
	})
	y.turn.Lock()
	defer y.turn.Unlock()
	for _, p := range arriving {
		s.deliver(channel, p)
	}
}

// trim forgets all but the newest n.
func (s *stage) trim(channel string, n int) {
	s.with(channel, func(y *play) { y.kept = slices.Clone(y.kept[max(0, len(y.kept)-n):]) })
}

// rollBack takes back the newest n under the same epoch.
func (s *stage) rollBack(channel string, n int) {
	s.with(channel, func(y *play) {
		y.top -= uint64(n)
		y.kept = slices.DeleteFunc(slices.Clone(y.kept), func(p broker.Publication) bool { return p.Offset > y.top })
	})
}

func (s *stage) reset(channel string) { s.with(channel, (*play).reset) }

// history sets what happens at reads, and returns how many there were.
func (s *stage) history(begin, end func(ctx context.Context, channel string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begin, s.end = begin, end
}

func (s *stage) count() (reads, removed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.removed
}

// failing makes the next n reads fail.
func failing(n int) func(context.Context, string) error {
	var mu sync.Mutex
	return func(context.Context, string) error {
		mu.Lock()
		defer mu.Unlock()
		if n--; n >= 0 {
			return errStage
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

// until makes reads wait for a channel to be closed, or for their context.
func until(c <-chan struct{}) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		select {
		case <-c:
			return nil
		case <-ctx.Done():
			return errors.Join(broker.ErrUnavailable, ctx.Err())
		}
	}
}
