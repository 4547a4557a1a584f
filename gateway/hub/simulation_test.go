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

// The simulation lets clients subscribe and leave while publications are lost, late and trimmed, and streams end or are
// rolled back. Its oracle knows at every delivery what may come next. Between two acts it lets nothing go wrong for a
// while, in which the hub must find what is missing. A seed decides what happens and when. The scheduler decides which
// of the goroutines that wake at the same time runs first, so that a failure may need the seed several times.
const (
	simSeeds    = 300
	simChannels = 2
	simActs     = 2
	// simFaults is the number of faults in one act.
	simFaults = 16
	// simPublications is the number of publications of one publisher in one act.
	simPublications = 60
	// simSettleTime is long enough for two checks of every stream.
	simSettleTime = 150 * time.Second
)

// totals counts what happened in all simulations. Simulations in which nothing happens prove nothing.
type totals struct {
	mu           sync.Mutex
	delivered    int
	recovered    int
	insufficient int
	unrepaired   int
	// latest counts the recoveries of the latest publication alone.
	latest int
	// staleRecovered counts recoveries of clients that held publications which the stream had lost.
	staleRecovered int
}

func (n *totals) add(f func(n *totals)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n)
}

func TestHubSimulation(t *testing.T) {
	sum := &totals{}
	for seed := range uint64(simSeeds) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newSimulation(t, seed, sum).run() })
		})
		if t.Failed() {
			return
		}
	}
	t.Logf("%d delivered, %d recovered, %d of them the latest, %d insufficient, %d unrepaired, "+
		"%d recovered with a stale state",
		sum.delivered, sum.recovered, sum.latest, sum.insufficient, sum.unrepaired, sum.staleRecovered)
	require.Positive(t, sum.recovered)
	require.Positive(t, sum.latest)
	require.Positive(t, sum.insufficient)
	require.Positive(t, sum.unrepaired)
	require.Less(t, sum.staleRecovered, sum.recovered/10)
}

// simulation is one simulation.
type simulation struct {
	t        *testing.T
	seed     uint64
	sum      *totals
	hub      *hub.Hub
	broker   *fakeBroker
	encoder  *fakeEncoder
	channels []*simChannel
	clients  sync.WaitGroup
	// stop is closed when the clients are to leave.
	stop    chan struct{}
	started time.Time

	// mu guards the fields below.
	mu       sync.Mutex
	settling bool
	// published counts the publications, which gives each its data.
	published int
	// reads decides how long the broker's reads take.
	reads    *rand.Rand
	problems []string
	// trace is what happened, in case there is a problem.
	trace []traceStep
	// nextAct is closed when an act begins.
	nextAct chan struct{}
}

// traceStep is one event of the trace.
type traceStep struct {
	at     time.Duration
	format string
	args   []any
}

func (s traceStep) String() string {
	return fmt.Sprintf("%v "+s.format, append([]any{s.at}, s.args...)...)
}

// simChannel is what the oracle knows of a channel, and the channel's messages on their way.
type simChannel struct {
	name string
	// wake holds a token when there are messages in flight.
	wake chan struct{}
	// order keeps publications in the order of their positions.
	order sync.Mutex

	// mu guards the fields below.
	mu         sync.Mutex
	subscribed bool
	// dropping makes messages get lost.
	dropping bool
	// failing is the number of reads that fail next.
	failing int
	// paused stops publications, because the stream was rolled back and the hub must notice that first.
	paused bool
	// inFlight holds the messages that have not arrived.
	inFlight []broker.Publication
	// published holds the position of every publication, by its data.
	published map[string]broker.Position
	// discarded holds the publications that the stream has lost, by their data.
	discarded map[string]bool
	// rolledBack holds the epochs that were rolled back.
	rolledBack map[string]bool
	clients    map[*simClient]bool
}

func newSimulation(t *testing.T, seed uint64, sum *totals) *simulation {
	t.Helper()
	sim := &simulation{
		t:       t,
		seed:    seed,
		sum:     sum,
		broker:  newFakeBroker(),
		encoder: &fakeEncoder{},
		stop:    make(chan struct{}),
		started: time.Now(),
		nextAct: make(chan struct{}),
	}
	sim.reads = sim.rng("reads", 0)
	size := 40
	if sim.lossOnly() {
		size = 1_000
	}
	history := channel.History{Size: size, TTL: channel.Duration(time.Hour)}
	sim.hub = hub.New(hub.Options{
		Broker:           sim.broker,
		UnsubscribeDelay: 300 * time.Millisecond,
		Rules:            channel.Rules{{Pattern: "*", History: history, Recovery: true}},
		GapUnrepaired:    func() { sum.add(func(n *totals) { n.unrepaired++ }) },
		Logger:           slog.New(slog.DiscardHandler),
	})
	sim.broker.deliver = sim.hub.Deliver
	sim.broker.onMessage = sim.onMessage
	sim.broker.onSubscribe, sim.broker.onUnsubscribe = sim.onSubscribe, sim.onUnsubscribe
	sim.broker.onRead(sim.beforeRead, sim.afterRead)
	for i := range simChannels {
		sim.channels = append(sim.channels, &simChannel{
			name:       strconv.Itoa(i),
			wake:       make(chan struct{}, 1),
			published:  map[string]broker.Position{},
			discarded:  map[string]bool{},
			rolledBack: map[string]bool{},
			clients:    map[*simClient]bool{},
		})
	}
	return sim
}

// lossOnly reports whether messages are lost and late, and nothing worse happens. Then no state is insufficient, and
// all clients recover.
func (sim *simulation) lossOnly() bool { return sim.seed%3 == 0 }

// rng returns the random numbers of the nth actor of a kind.
func (sim *simulation) rng(actor string, n int) *rand.Rand {
	return rand.New(rand.NewPCG(sim.seed, uint64(len(actor))<<32+uint64(actor[0])<<16+uint64(n)))
}

// fail records something that must not happen.
func (sim *simulation) fail(format string, args ...any) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	if len(sim.problems) == 0 {
		for _, s := range sim.trace[max(0, len(sim.trace)-400):] {
			sim.problems = append(sim.problems, s.String())
		}
	}
	sim.problems = append(sim.problems, "PROBLEM: "+fmt.Sprintf(format, args...))
}

// record adds an event to the trace.
func (sim *simulation) record(format string, args ...any) {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	sim.trace = append(sim.trace, traceStep{time.Since(sim.started), format, args})
}

// readDelay returns how long a part of a read takes.
func (sim *simulation) readDelay() time.Duration {
	sim.mu.Lock()
	defer sim.mu.Unlock()
	if sim.reads.IntN(40) == 0 {
		return 200 * time.Millisecond
	}
	return time.Duration(sim.reads.IntN(8)) * time.Millisecond
}

// run runs the simulation and fails the test when there were problems.
func (sim *simulation) run() {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = sim.hub.Run(ctx) })
	for i, c := range sim.channels {
		running.Go(func() { sim.deliverMessages(ctx, c, sim.rng("wire", i)) })
	}
	for i := range 6 * simChannels {
		options := hub.AttachOptions{Positioned: i < 5*simChannels, RecoverLatest: i < simChannels}
		sim.clients.Go(func() { sim.runClient(sim.channels[i%simChannels], sim.rng("member", i), options) })
	}
	for act := range simActs {
		sim.act(act)
		sim.settle()
	}
	close(sim.stop)
	sim.clients.Wait()
	time.Sleep(time.Second)
	if n := sim.hub.Channels(); n > 0 {
		sim.fail("%d channels are left", n)
	}
	cancel()
	running.Wait()
	require.Empty(sim.t, strings.Join(sim.problems, "\n"))
}

// act lets publishers publish and things go wrong.
func (sim *simulation) act(n int) {
	sim.mu.Lock()
	sim.settling = false
	close(sim.nextAct)
	sim.mu.Unlock()
	var act sync.WaitGroup
	for i := range 2 {
		act.Go(func() {
			rng := sim.rng("publisher", 10*n+i)
			for range simPublications {
				time.Sleep(pace(rng))
				sim.publish(sim.channels[rng.IntN(simChannels)])
			}
		})
	}
	act.Go(func() {
		rng := sim.rng("fate", n)
		for range simFaults {
			time.Sleep(5 * pace(rng))
			sim.fault(sim.channels[rng.IntN(simChannels)], rng)
		}
	})
	act.Wait()
}

// pace returns a delay. Most are short and in whole milliseconds, so that much happens at the same time.
func pace(rng *rand.Rand) time.Duration {
	if rng.IntN(20) == 0 {
		return time.Duration(rng.IntN(300)) * time.Millisecond
	}
	return time.Duration(rng.IntN(10)) * time.Millisecond
}

// publish publishes to a channel, unless it is paused.
func (sim *simulation) publish(c *simChannel) {
	c.order.Lock()
	defer c.order.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.paused {
		return
	}
	sim.mu.Lock()
	sim.published++
	p := broker.Publication{Data: []byte(strconv.Itoa(sim.published))}
	sim.mu.Unlock()
	options := broker.PublishOptions{History: sim.hub.Rule(c.name).History}
	_, _ = sim.broker.Publish(context.Background(), c.name, p, options) // the fake returns no error
}

// onMessage sends a message on its way, unless it gets lost. The calls come in the order of publications. The caller
// holds the mu of the channel.
func (sim *simulation) onMessage(channel string, p broker.Publication) {
	c := sim.channel(channel)
	c.published[string(p.Data)] = p.Position
	sim.record("%s: published %v %s lost %v", channel, p.Position, p.Data, c.dropping || !c.subscribed)
	if c.dropping || !c.subscribed {
		return
	}
	c.inFlight = append(c.inFlight, p)
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (sim *simulation) channel(name string) *simChannel {
	i, _ := strconv.Atoi(name)
	return sim.channels[i]
}

// deliverMessages delivers a channel's messages, in order and late, until the context ends.
func (sim *simulation) deliverMessages(ctx context.Context, c *simChannel, rng *rand.Rand) {
	for {
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		}
		for {
			c.mu.Lock()
			empty := len(c.inFlight) == 0
			c.mu.Unlock()
			if empty {
				break
			}
			if rng.IntN(3) > 0 {
				time.Sleep(pace(rng))
			}
			if p, ok := c.nextMessage(); ok {
				sim.record("%s: arrives %v %s", c.name, p.Position, p.Data)
				sim.hub.Deliver(c.name, p)
			}
		}
	}
}

// nextMessage takes the message that arrives next, unless it was lost on the way.
func (c *simChannel) nextMessage() (broker.Publication, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.inFlight) == 0 {
		return broker.Publication{}, false
	}
	p := c.inFlight[0]
	c.inFlight = c.inFlight[1:]
	return p, true
}

// onSubscribe confirms a subscription after a while.
func (sim *simulation) onSubscribe(channel string, confirmed func()) {
	c := sim.channel(channel)
	go func() {
		time.Sleep(2 * time.Millisecond)
		c.mu.Lock()
		c.subscribed = true
		c.mu.Unlock()
		confirmed()
	}()
}

// onUnsubscribe ends the delivery of a channel.
func (sim *simulation) onUnsubscribe(channel string) {
	c := sim.channel(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subscribed = false
}

// beforeRead delays a read, and lets it fail with errFakeBroker.
func (sim *simulation) beforeRead(_ context.Context, channel string) error {
	time.Sleep(sim.readDelay())
	c := sim.channel(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failing > 0 {
		c.failing--
		return errFakeBroker
	}
	return nil
}

// afterRead delays the result of a read.
func (sim *simulation) afterRead(context.Context, string) error {
	time.Sleep(sim.readDelay())
	return nil
}

// fault lets one thing go wrong.
func (sim *simulation) fault(c *simChannel, rng *rand.Rand) {
	kind := rng.IntN(20)
	if sim.lossOnly() {
		kind %= 10
	}
	sim.record("%s: fault %d", c.name, kind)
	switch kind {
	case 0, 1, 2, 3, 4:
		c.locked(func() { c.dropping = true })
		time.Sleep(pace(rng))
		c.locked(func() { c.dropping = false })
	case 5, 6, 7, 8, 9:
		c.locked(func() { c.dropping, c.inFlight = true, nil })
		time.Sleep(3 * pace(rng))
		c.locked(func() { c.dropping = false })
		sim.hub.Resumed(c.name)
	case 10, 11, 12, 13:
		sim.reset(c)
	case 14:
		sim.broker.trim(c.name, rng.IntN(10))
	case 15, 16, 17, 18:
		c.locked(func() { c.failing = rng.IntN(8) })
	case 19:
		sim.rollBack(c, 1+rng.IntN(6))
	}
}

// reset ends the epoch of a channel's stream.
func (sim *simulation) reset(c *simChannel) {
	c.order.Lock()
	defer c.order.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	sim.broker.reset(c.name)
	sim.record("%s: reset", c.name)
}

// locked calls f with mu.
func (c *simChannel) locked(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// rollBack lets a Redis take over that lacks the latest n publications. The connection to the one before is broken, so
// that no message is on its way.
func (sim *simulation) rollBack(c *simChannel, n int) {
	c.order.Lock()
	defer c.order.Unlock()
	c.mu.Lock()
	top := sim.broker.read(c.name, broker.HistoryQuery{}).Top
	n = min(n, int(top.Offset))
	c.inFlight, c.paused = nil, true
	c.rolledBack[top.Epoch] = true
	for id, at := range c.published {
		if at.Epoch == top.Epoch && at.Offset > top.Offset-uint64(n) {
			c.discarded[id] = true
		}
	}
	sim.broker.rollBack(c.name, n)
	sim.record("%s: rolled back by %d from %v", c.name, n, top)
	for s := range c.clients {
		s.locked(func() {
			s.stale = s.stale || s.at.Epoch == top.Epoch && s.at.Offset > top.Offset-uint64(n)
		})
	}
	c.mu.Unlock()
	sim.hub.Resumed(c.name)
}

// settle lets nothing go wrong for a while. Then every client must have everything or know of its insufficient state.
func (sim *simulation) settle() {
	sim.mu.Lock()
	sim.settling, sim.nextAct = true, make(chan struct{})
	sim.mu.Unlock()
	for _, c := range sim.channels {
		c.locked(func() { c.failing = 0 })
	}
	time.Sleep(simSettleTime)
	for _, c := range sim.channels {
		sim.examine(c, "settled")
		c.locked(func() { c.paused = false })
		sim.publish(c)
	}
	time.Sleep(10 * time.Second)
	for _, c := range sim.channels {
		sim.examine(c, "one more")
	}
}

// examine checks the clients of a channel when nothing is on its way.
func (sim *simulation) examine(c *simChannel, when string) {
	top := sim.broker.read(c.name, broker.HistoryQuery{}).Top
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.clients {
		s.locked(func() {
			switch {
			case s.insufficient || !s.positioned && when == "settled":
			case s.at != top:
				sim.fail("%s: %s is at %v, its channel at %v", when, s, s.at, top)
			case s.stale:
				sim.fail("%s: %s does not know that the stream was rolled back", when, s)
			}
		})
	}
}

// runClient subscribes, stays, leaves, and comes back with the position that it has, until the simulation stops.
func (sim *simulation) runClient(c *simChannel, rng *rand.Rand, options hub.AttachOptions) {
	var before *simClient
	for !sim.stopped() {
		s := sim.attach(c, rng, before, options)
		if s == nil {
			time.Sleep(50*time.Millisecond + pace(rng))
			continue
		}
		sim.stay(s, rng)
		s.subscription.Release()
		s.locked(func() { s.released = true })
		c.locked(func() { delete(c.clients, s) })
		before = s
		time.Sleep(4 * pace(rng))
	}
}

func (sim *simulation) stopped() bool {
	select {
	case <-sim.stop:
		return true
	default:
		return false
	}
}

// attach subscribes a client, which was before the last time. It returns nil when the hub returns an error.
func (sim *simulation) attach(
	c *simChannel, rng *rand.Rand, before *simClient, options hub.AttachOptions,
) *simClient {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	subscription, err := sim.hub.Subscribe(ctx, c.name)
	if err != nil {
		return nil
	}
	s := &simClient{
		sim:          sim,
		channel:      c,
		subscription: subscription,
		positioned:   options.Positioned,
		latest:       options.RecoverLatest,
		notified:     make(chan struct{}),
		seen:         map[string]bool{},
	}
	if !s.positioned {
		subscription.Attach(s, hub.AttachOptions{}, func() { c.locked(func() { c.clients[s] = true }) })
		return s
	}
	var since *broker.Position
	if before != nil && rng.IntN(5) > 0 {
		since = new(before.at)
	} else if s.latest {
		since = &broker.Position{}
	}
	first := func(r hub.AttachResult) { s.attached(r, before, since) }
	if err := subscription.AttachPositioned(ctx, s, options, since, first); err != nil {
		subscription.Release()
		return nil
	}
	return s
}

// stay blocks until the client leaves. While things settle it leaves only for an insufficient state.
func (sim *simulation) stay(s *simClient, rng *rand.Rand) {
	select {
	case <-s.notified:
		return
	case <-sim.stop:
		return
	case <-time.After(time.Duration(rng.IntN(300)) * time.Millisecond):
	}
	sim.mu.Lock()
	settling, nextAct := sim.settling, sim.nextAct
	sim.mu.Unlock()
	if !settling {
		return
	}
	select {
	case <-s.notified:
	case <-sim.stop:
	case <-nextAct:
		time.Sleep(pace(rng))
	}
}

// simClient is one subscription of a client.
type simClient struct {
	sim          *simulation
	channel      *simChannel
	subscription *hub.Subscription
	positioned   bool
	// latest is AttachOptions.RecoverLatest.
	latest bool
	// notified is closed when the hub has called InsufficientState.
	notified chan struct{}

	// mu guards the fields below. It is taken after the mu of the channel.
	mu sync.Mutex
	// at is the position of the latest publication.
	at broker.Position
	// stale is true while the client has a publication that the stream has lost.
	stale        bool
	insufficient bool
	released     bool
	// seen holds the data of the publications that the client has got.
	seen map[string]bool
}

// locked calls f with mu.
func (s *simClient) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

func (s *simClient) String() string {
	return fmt.Sprintf("%s: client %p, positioned %v", s.channel.name, s, s.positioned)
}

// attached checks the result of AttachPositioned.
func (s *simClient) attached(r hub.AttachResult, before *simClient, since *broker.Position) {
	s.channel.mu.Lock()
	defer s.channel.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = r.Position
	s.channel.clients[s] = true
	s.sim.record("%s attaches at %v, recovered %v", s, r.Position, r.Recovered)
	top := s.sim.broker.read(s.channel.name, broker.HistoryQuery{}).Top
	// The stream may have been rolled back between the read and now.
	s.stale = r.Epoch == top.Epoch && r.Offset > top.Offset
	if !r.Recovered {
		if s.sim.lossOnly() && since != nil && (!s.latest || r.Offset > 0) {
			s.sim.fail("%s did not recover from %v", s, *since)
		}
		if len(r.Publications) > 0 {
			s.sim.fail("%s got part of what it missed", s)
		}
		return
	}
	if since == nil {
		s.sim.fail("%s recovered from nowhere", s)
		return
	}
	stale := s.stale
	s.stale = false
	if before != nil && before.stale {
		// A hub that has heard of neither cannot tell what the client holds of the lost part from what the stream has
		// now.
		s.sim.sum.add(func(n *totals) { n.staleRecovered++ })
	}
	s.sim.sum.add(func(n *totals) { n.recovered++ })
	s.at = *since
	if s.latest {
		s.skipToLatest(r)
	}
	for _, p := range r.Publications {
		s.check(p)
	}
	s.stale = s.stale || stale
	if s.at != r.Position {
		s.sim.fail("%s recovered up to %v, and is said to be at %v", s, s.at, r.Position)
	}
}

// skipToLatest moves a client that recovers the latest publication alone to the one before that. The caller holds the
// mu of the channel and of the client.
func (s *simClient) skipToLatest(r hub.AttachResult) {
	s.sim.sum.add(func(n *totals) { n.latest++ })
	switch {
	case len(r.Publications) > 1:
		s.sim.fail("%s recovered %d publications", s, len(r.Publications))
	case len(r.Publications) == 0:
	case s.at == r.Position && !s.channel.rolledBack[r.Epoch]:
		s.sim.fail("%s got %v, which it had", s, r.Position)
	default:
		s.at = broker.Position{Offset: r.Offset - 1, Epoch: r.Epoch}
	}
}

// check checks one publication. The caller holds the mu of the channel and of the client.
func (s *simClient) check(p broker.Publication) {
	id := string(p.Data)
	s.sim.record("%s gets %v %s", s, p.Position, p.Data)
	switch {
	case s.insufficient || s.released:
		s.sim.fail("%s got %v after its end", s, p.Position)
	case s.channel.published[id] != p.Position:
		s.sim.fail("%s got %q at %v, which was at %v", s, id, p.Position, s.channel.published[id])
	case s.seen[id]:
		s.sim.fail("%s got %v twice", s, p.Position)
	case s.positioned && (p.Epoch != s.at.Epoch || p.Offset != s.at.Offset+1):
		s.sim.fail("%s got %v after %v", s, p.Position, s.at)
	case !s.positioned && p.Epoch == s.at.Epoch && p.Offset <= s.at.Offset && !s.channel.rolledBack[p.Epoch]:
		s.sim.fail("%s got %v after %v", s, p.Position, s.at)
	case s.positioned && s.stale && !s.channel.discarded[id]:
		s.sim.fail("%s got %v of what the stream is now after what it was", s, p.Position)
	}
	s.seen[id] = true
	s.at = p.Position
	s.stale = s.channel.discarded[id]
}

// Encoder implements hub.Subscriber.
func (s *simClient) Encoder() hub.Encoder { return s.sim.encoder }

// Send implements hub.Subscriber.
func (s *simClient) Send(f transport.Frame) bool {
	p := s.sim.encoder.publication(f)
	s.channel.mu.Lock()
	defer s.channel.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.check(p)
	s.sim.sum.add(func(n *totals) { n.delivered++ })
	return true
}

// InsufficientState implements hub.Subscriber.
func (s *simClient) InsufficientState(o *hub.Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.insufficient || !s.positioned || o != s.subscription {
		s.sim.fail("%s was notified twice, or for another subscription", s)
		return
	}
	s.insufficient = true
	if s.sim.lossOnly() {
		s.sim.fail("%s was notified for nothing", s)
	}
	s.sim.record("%s is insufficient", s)
	close(s.notified)
	s.sim.sum.add(func(n *totals) { n.insufficient++ })
}
