package hub_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// The simulation lets members come and go while publications are lost, late, trimmed, and streams end
// or go back, and knows at every delivery what may come next. In between it lets things settle, which
// the hub must use to find what is missing. A seed decides what everybody does and when; of goroutines
// that wake at the same time the scheduler decides, so that a failure may need the seed several times.
const (
	simSeeds    = 300
	simChannels = 2
	// simFaults is how many there are in one of simActs acts, and simSays how often a publisher publishes.
	simFaults = 16
	simActs   = 2
	simSays   = 60
	// simSettles is long enough for two looks at every stream.
	simSettles = 150 * time.Second
)

// tally is what happened in all simulations: one in which nothing does proves nothing.
type tally struct {
	mu                                              sync.Mutex
	delivered, recovered, lost, unrepaired, excused int
}

func (y *tally) add(f func(y *tally)) {
	y.mu.Lock()
	defer y.mu.Unlock()
	f(y)
}

func TestSimulation(t *testing.T) {
	sum := &tally{}
	for seed := range uint64(simSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newWorld(t, seed, sum).play() })
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d delivered, %d recovered, %d lost, %d unrepaired, %d excused", sum.delivered, sum.recovered, sum.lost, sum.unrepaired, sum.excused)
	require.Positive(t, sum.recovered)
	require.Positive(t, sum.lost)
	require.Positive(t, sum.unrepaired)
	require.Less(t, sum.excused, sum.recovered/10)
}

// world is one simulation.
type world struct {
	t       *testing.T
	seed    uint64
	sum     *tally
	hub     *hub.Hub
	stage   *stage
	encoder *encoder
	lines   []*line
	actors  sync.WaitGroup
	// stop ends the members' coming and going; act changes while they do.
	stop chan struct{}

	mu       sync.Mutex
	settling bool
	serial   int
	// reads are the dice of the broker's reads.
	reads    *rand.Rand
	problems []string
	// trail is what happened, for when there is a problem.
	trail []step
	begun time.Time
	// again is closed when an act begins.
	again chan struct{}
}

// step is something that happened.
type step struct {
	at     time.Duration
	format string
	args   []any
}

func (s step) String() string { return fmt.Sprintf("%v "+s.format, append([]any{s.at}, s.args...)...) }

// line is the truth about a channel, and its wire.
type line struct {
	name string
	// order keeps publications in the order of their positions.
	order sync.Mutex

	mu         sync.Mutex
	subscribed bool
	lossy      bool
	failing    int
	// quiet: nobody publishes, since the stream went back and that must be noticed first.
	quiet bool
	wire  []broker.Publication
	wake  chan struct{}
	// published is every publication's position, and discarded those that the stream lost.
	published map[string]broker.Position
	discarded map[string]bool
	back      map[string]bool
	sessions  map[*session]bool
}

func newWorld(t *testing.T, seed uint64, sum *tally) *world {
	w := &world{t: t, seed: seed, sum: sum, encoder: &encoder{}, stop: make(chan struct{}), again: make(chan struct{})}
	w.reads, w.begun = w.dice("reads", 0), time.Now()
	size := 40
	if w.mild() {
		size = 1_000
	}
	w.stage = newStage()
	w.hub = hub.New(hub.Options{
		Broker:           w.stage,
		UnsubscribeDelay: 300 * time.Millisecond,
		Rules:            channel.Rules{{Pattern: "*", History: channel.History{Size: size, TTL: channel.Duration(time.Hour)}, Recovery: true}},
		GapUnrepaired:    func() { sum.add(func(y *tally) { y.unrepaired++ }) },
		Logger:           slog.New(slog.DiscardHandler),
	})
	w.stage.deliver = w.hub.Deliver
	w.stage.route, w.stage.usher, w.stage.farewell = w.route, w.usher, w.farewell
	w.stage.history(w.readBegins, w.readEnds)
	for i := range simChannels {
		w.lines = append(w.lines, &line{
			name: strconv.Itoa(i), wake: make(chan struct{}, 1), published: map[string]broker.Position{}, discarded: map[string]bool{},
			back: map[string]bool{}, sessions: map[*session]bool{},
		})
	}
	return w
}

// mild tells that messages are lost and late, and nothing worse: then nobody is lost, and everybody
// recovers.
func (w *world) mild() bool { return w.seed%3 == 0 }

// dice are an actor's own.
func (w *world) dice(actor string, n int) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, uint64(len(actor))<<32+uint64(actor[0])<<16+uint64(n)))
}

// problem is something that must not happen.
func (w *world) problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.problems) == 0 {
		for _, s := range w.trail[max(0, len(w.trail)-400):] {
			w.problems = append(w.problems, s.String())
		}
	}
	w.problems = append(w.problems, "PROBLEM: "+fmt.Sprintf(format, args...))
}

// note is a step of the trail.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trail = append(w.trail, step{time.Since(w.begun), format, args})
}

// wait is part of a read.
func (w *world) wait() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.reads.IntN(40) == 0 {
		return 200 * time.Millisecond
	}
	return time.Duration(w.reads.IntN(8)) * time.Millisecond
}

func (w *world) play() {
	ctx, cancel := context.WithCancel(context.Background())
	var staff sync.WaitGroup
	staff.Go(func() { _ = w.hub.Run(ctx) })
	for i, l := range w.lines {
		staff.Go(func() { w.carry(ctx, l, w.dice("wire", i)) })
	}
	for i := range 5 * simChannels {
		w.actors.Go(func() { w.attend(w.lines[i%simChannels], w.dice("member", i), i < 4*simChannels) })
	}
	for act := range simActs {
		w.act(act)
		w.settle()
	}
	close(w.stop)
	w.actors.Wait()
	time.Sleep(time.Second)
	if n := w.hub.Channels(); n > 0 {
		w.problem("%d channels are left", n)
	}
	cancel()
	staff.Wait()
	require.Empty(w.t, strings.Join(w.problems, "\n"))
}

// act is a time in which everything happens.
func (w *world) act(n int) {
	w.mu.Lock()
	w.settling = false
	close(w.again)
	w.mu.Unlock()
	var act sync.WaitGroup
	for i := range 2 {
		act.Go(func() {
			d := w.dice("publisher", 10*n+i)
			for range simSays {
				time.Sleep(pace(d))
				w.publish(w.lines[d.IntN(simChannels)])
			}
		})
	}
	act.Go(func() {
		d := w.dice("fate", n)
		for range simFaults {
			time.Sleep(5 * pace(d))
			w.fault(w.lines[d.IntN(simChannels)], d)
		}
	})
	act.Wait()
}

// pace is mostly short, in steps, so that much happens at once.
func pace(d *rand.Rand) time.Duration {
	if d.IntN(20) == 0 {
		return time.Duration(d.IntN(300)) * time.Millisecond
	}
	return time.Duration(d.IntN(10)) * time.Millisecond
}

func (w *world) publish(l *line) {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.quiet {
		return
	}
	w.mu.Lock()
	w.serial++
	id := strconv.Itoa(w.serial)
	w.mu.Unlock()
	_, _ = w.stage.Publish(context.Background(), l.name, broker.Publication{Data: []byte(id)}, broker.PublishOptions{History: w.hub.Rule(l.name).History})
}

// route is where a message begins its way, in the order of publications; the line is locked.
func (w *world) route(channel string, p broker.Publication) {
	l := w.line(channel)
	l.published[string(p.Data)] = p.Position
	w.note("%s: published %v %s lost %v", channel, p.Position, p.Data, l.lossy || !l.subscribed)
	if l.lossy || !l.subscribed {
		return
	}
	l.wire = append(l.wire, p)
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (w *world) line(channel string) *line {
	i, _ := strconv.Atoi(channel)
	return w.lines[i]
}

// carry delivers a channel's messages, in order and late.
func (w *world) carry(ctx context.Context, l *line, d *rand.Rand) {
	for {
		select {
		case <-l.wake:
		case <-ctx.Done():
			return
		}
		for {
			l.mu.Lock()
			empty := len(l.wire) == 0
			l.mu.Unlock()
			if empty {
				break
			}
			if d.IntN(3) > 0 {
				time.Sleep(pace(d))
			}
			if p, ok := l.arriving(); ok {
				w.note("%s: arrives %v %s", l.name, p.Position, p.Data)
				w.hub.Deliver(l.name, p)
			}
		}
	}
}

// arriving is the message that arrives, unless it was lost on the way.
func (l *line) arriving() (broker.Publication, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.wire) == 0 {
		return broker.Publication{}, false
	}
	p := l.wire[0]
	l.wire = l.wire[1:]
	return p, true
}

func (w *world) usher(channel string, confirmed func()) {
	l := w.line(channel)
	go func() {
		time.Sleep(2 * time.Millisecond)
		l.mu.Lock()
		l.subscribed = true
		l.mu.Unlock()
		confirmed()
	}()
}

func (w *world) farewell(channel string) {
	l := w.line(channel)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subscribed = false
}

func (w *world) readBegins(_ context.Context, channel string) error {
	time.Sleep(w.wait())
	l := w.line(channel)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failing > 0 {
		l.failing--
		return errStage
	}
	return nil
}

func (w *world) readEnds(context.Context, string) error {
	time.Sleep(w.wait())
	return nil
}

// fault is something that goes wrong.
func (w *world) fault(l *line, d *rand.Rand) {
	kind := d.IntN(20)
	if w.mild() {
		kind %= 10
	}
	w.note("%s: fault %d", l.name, kind)
	switch kind {
	case 0, 1, 2, 3, 4:
		l.set(func() { l.lossy = true })
		time.Sleep(pace(d))
		l.set(func() { l.lossy = false })
	case 5, 6, 7, 8, 9:
		l.set(func() { l.lossy, l.wire = true, nil })
		time.Sleep(3 * pace(d))
		l.set(func() { l.lossy = false })
		w.hub.Resumed(l.name)
	case 10, 11, 12, 13:
		w.reset(l)
	case 14:
		w.stage.trim(l.name, d.IntN(10))
	case 15, 16, 17, 18:
		l.set(func() { l.failing = d.IntN(8) })
	case 19:
		w.rollBack(l, 1+d.IntN(6))
	}
}

// reset ends the epoch.
func (w *world) reset(l *line) {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	w.stage.reset(l.name)
	w.note("%s: reset", l.name)
}

func (l *line) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}

// rollBack is a Redis that takes over without the latest publications. The connection to the one before
// broke, so nothing is on its way.
func (w *world) rollBack(l *line, n int) {
	l.order.Lock()
	defer l.order.Unlock()
	l.mu.Lock()
	top := w.stage.look(l.name, broker.HistoryQuery{}).Top
	n = min(n, int(top.Offset))
	l.wire, l.quiet = nil, true
	l.back[top.Epoch] = true
	for id, at := range l.published {
		if at.Epoch == top.Epoch && at.Offset > top.Offset-uint64(n) {
			l.discarded[id] = true
		}
	}
	w.stage.rollBack(l.name, n)
	w.note("%s: rolled back by %d from %v", l.name, n, top)
	for s := range l.sessions {
		s.stream(func() { s.stale = s.stale || s.at.Epoch == top.Epoch && s.at.Offset > top.Offset-uint64(n) })
	}
	l.mu.Unlock()
	w.hub.Resumed(l.name)
}

// settle lets nothing go wrong any more. Then everybody has everything, or was told.
func (w *world) settle() {
	w.mu.Lock()
	w.settling, w.again = true, make(chan struct{})
	w.mu.Unlock()
	for _, l := range w.lines {
		l.set(func() { l.failing = 0 })
	}
	time.Sleep(simSettles)
	for _, l := range w.lines {
		w.examine(l, "settled")
		l.set(func() { l.quiet = false })
		w.publish(l)
	}
	time.Sleep(10 * time.Second)
	for _, l := range w.lines {
		w.examine(l, "one more")
	}
}

func (w *world) examine(l *line, when string) {
	top := w.stage.look(l.name, broker.HistoryQuery{}).Top
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.sessions {
		s.stream(func() {
			switch {
			case s.lost || !s.positioned && when == "settled":
			case s.at != top:
				w.problem("%s: %s is at %v, its channel at %v", when, s, s.at, top)
			case s.stale:
				w.problem("%s: %s does not know that the stream went back", when, s)
			}
		})
	}
}

// attend is a member's life: it comes, stays, goes, and comes back with what it has.
func (w *world) attend(l *line, d *rand.Rand, positioned bool) {
	var before *session
	for !w.stopped() {
		s := w.come(l, d, before, positioned)
		if s == nil {
			time.Sleep(50*time.Millisecond + pace(d))
			continue
		}
		w.stay(s, d)
		s.hold.Release()
		s.stream(func() { s.released = true })
		l.set(func() { delete(l.sessions, s) })
		before = s
		time.Sleep(4 * pace(d))
	}
}

func (w *world) stopped() bool {
	select {
	case <-w.stop:
		return true
	default:
		return false
	}
}

// come lets a member in; nil when that could not be done now.
func (w *world) come(l *line, d *rand.Rand, before *session, positioned bool) *session {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	hold, err := w.hub.Subscribe(ctx, l.name)
	if err != nil {
		return nil
	}
	s := &session{world: w, line: l, hold: hold, positioned: positioned, told: make(chan struct{}), seen: map[string]bool{}}
	if !positioned {
		hold.Attach(s, hub.AttachOptions{}, func() { l.set(func() { l.sessions[s] = true }) })
		return s
	}
	var since *broker.Position
	if before != nil && d.IntN(5) > 0 {
		since = new(before.at)
	}
	if err := hold.AttachPositioned(ctx, s, counting, since, func(j hub.AttachResult) { s.begin(j, before, since) }); err != nil {
		hold.Release()
		return nil
	}
	return s
}

func (w *world) stay(s *session, d *rand.Rand) {
	select {
	case <-s.told:
		return
	case <-w.stop:
		return
	case <-time.After(time.Duration(d.IntN(300)) * time.Millisecond):
	}
	w.mu.Lock()
	settling, again := w.settling, w.again
	w.mu.Unlock()
	if !settling {
		return
	}
	select {
	case <-s.told:
	case <-w.stop:
	case <-again:
		time.Sleep(pace(d))
	}
}

// session is a member from one coming to the next going.
type session struct {
	world      *world
	line       *line
	hold       *hub.Subscription
	positioned bool
	told       chan struct{}

	mu sync.Mutex
	at broker.Position
	// stale: it has something that the stream has lost.
	stale, lost, released bool
	seen                  map[string]bool
}

func (s *session) stream(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *session) String() string {
	return fmt.Sprintf("%s: member %p, positioned %v", s.line.name, s, s.positioned)
}

// begin checks what the hub says when the member comes.
func (s *session) begin(j hub.AttachResult, before *session, since *broker.Position) {
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = j.Position
	s.line.sessions[s] = true
	s.world.note("%s joins %v recovered %v", s, j.Position, j.Recovered)
	top := s.world.stage.look(s.line.name, broker.HistoryQuery{}).Top
	// What it read was taken back while the answer was on its way.
	s.stale = j.Epoch == top.Epoch && j.Offset > top.Offset
	if !j.Recovered {
		if w := s.world; w.mild() && since != nil {
			w.problem("%s did not recover from %v", s, *since)
		}
		if len(j.Publications) > 0 {
			s.world.problem("%s got part of what it missed", s)
		}
		return
	}
	if since == nil {
		s.world.problem("%s recovered from nowhere", s)
		return
	}
	stale := s.stale
	s.stale = false
	if before.stale {
		// What a client holds of what the stream lost looks like anything else, to a hub that has not heard
		// the one nor the other.
		s.world.sum.add(func(y *tally) { y.excused++ })
	}
	s.world.sum.add(func(y *tally) { y.recovered++ })
	s.at = *since
	for _, p := range j.Publications {
		s.take(p)
	}
	s.stale = s.stale || stale
	if s.at != j.Position {
		s.world.problem("%s recovered up to %v, and is said to be at %v", s, s.at, j.Position)
	}
}

// take checks one publication; the line and the session are locked.
func (s *session) take(p broker.Publication) {
	id := string(p.Data)
	s.world.note("%s gets %v %s", s, p.Position, p.Data)
	switch {
	case s.lost || s.released:
		s.world.problem("%s got %v after its end", s, p.Position)
	case s.line.published[id] != p.Position:
		s.world.problem("%s got %q at %v, which was at %v", s, id, p.Position, s.line.published[id])
	case s.seen[id]:
		s.world.problem("%s got %v twice", s, p.Position)
	case s.positioned && (p.Epoch != s.at.Epoch || p.Offset != s.at.Offset+1):
		s.world.problem("%s got %v after %v", s, p.Position, s.at)
	case !s.positioned && p.Epoch == s.at.Epoch && p.Offset <= s.at.Offset && !s.line.back[p.Epoch]:
		s.world.problem("%s got %v after %v", s, p.Position, s.at)
	case s.positioned && s.stale && !s.line.discarded[id]:
		s.world.problem("%s got %v of what the stream is now after what it was", s, p.Position)
	}
	s.seen[id] = true
	s.at = p.Position
	s.stale = s.line.discarded[id]
}

// Encoder implements hub.Subscriber.
func (s *session) Encoder() hub.Encoder { return s.world.encoder }

// Send implements hub.Subscriber.
func (s *session) Send(f transport.Frame) bool {
	p := s.world.encoder.publication(f)
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(p)
	s.world.sum.add(func(y *tally) { y.delivered++ })
	return true
}

// Lost implements hub.Subscriber.
func (s *session) InsufficientState(o *hub.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost || !s.positioned || o != s.hold {
		s.world.problem("%s was lost twice, or for another", s)
		return
	}
	s.lost = true
	if s.world.mild() {
		s.world.problem("%s was lost for nothing", s)
	}
	s.world.note("%s is lost", s)
	close(s.told)
	s.world.sum.add(func(y *tally) { y.lost++ })
}
