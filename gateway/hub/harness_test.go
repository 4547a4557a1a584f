package hub_test

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeEncoder counts its calls, and knows the publication of each frame.
type fakeEncoder struct {
	mu     sync.Mutex
	calls  int
	frames map[transport.Frame]broker.Publication
	// fails reports for which publications Encode fails. Nil: for none.
	fails func(p broker.Publication) bool
	// skips reports which publications the protocol cannot express. Nil: none.
	skips func(p broker.Publication) bool
}

// Encode implements hub.Encoder. It returns an error for the publications of fails.
func (e *fakeEncoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls++
	if e.fails != nil && e.fails(p) {
		return transport.Frame{}, errors.New("cannot")
	}
	if e.skips != nil && e.skips(p) {
		return transport.Frame{}, nil
	}
	f := transport.NewFrame(transport.Text, p.Data)
	if e.frames == nil {
		e.frames = map[transport.Frame]broker.Publication{}
	}
	e.frames[f] = p
	return f, nil
}

func (e *fakeEncoder) publication(f transport.Frame) broker.Publication {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.frames[f]
}

// recorder is a subscriber that records what it gets.
type recorder struct {
	encoder        *fakeEncoder
	onSend         func(p broker.Publication)
	onInsufficient func(s *hub.Subscription)

	mu           sync.Mutex
	got          []broker.Publication
	insufficient int
}

// Encoder implements hub.Subscriber.
func (r *recorder) Encoder() hub.Encoder { return r.encoder }

// Send implements hub.Subscriber.
func (r *recorder) Send(f transport.Frame) bool {
	p := r.encoder.publication(f)
	if r.onSend != nil {
		r.onSend(p)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, p)
	return true
}

// InsufficientState implements hub.Subscriber.
func (r *recorder) InsufficientState(s *hub.Subscription) {
	r.mu.Lock()
	r.insufficient++
	r.mu.Unlock()
	if r.onInsufficient != nil {
		r.onInsufficient(s)
	}
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

// timesInsufficient returns how often InsufficientState was called.
func (r *recorder) timesInsufficient() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.insufficient
}

// data returns the data of what the subscriber got.
func (r *recorder) data() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return dataOf(r.got)
}

func dataOf(ps []broker.Publication) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, string(p.Data))
	}
	return out
}

// streamRule is the rule of channels with a stream.
var streamRule = channel.Rule{
	Pattern:  "log*",
	History:  channel.History{Size: 5_000, TTL: channel.Duration(time.Hour)},
	Recovery: true,
}

// harness is a hub with a fake broker.
type harness struct {
	*hub.Hub
	*fakeBroker
	t          *testing.T
	encoder    *fakeEncoder
	mu         sync.Mutex
	unrepaired int
}

func newHub(o hub.Options) (*hub.Hub, *fakeBroker) {
	o.UnsubscribeDelay = time.Second
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Rules = channel.Rules{streamRule}
	b := newFakeBroker()
	o.Broker = b
	h := hub.New(o)
	b.deliver = h.Deliver
	return h, b
}

func newHarness(t *testing.T, o hub.Options) *harness {
	t.Helper()
	h := &harness{t: t, encoder: &fakeEncoder{}}
	o.GapUnrepaired = func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.unrepaired++
	}
	h.Hub, h.fakeBroker = newHub(o)
	return h
}

// run runs the hub until the test ends.
func (h *harness) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = h.Run(ctx)
	}()
	h.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// publishNumbers publishes numbers to the channel with a stream.
func (h *harness) publishNumbers(from, to int) {
	for i := from; i <= to; i++ {
		h.publish(strconv.Itoa(i))
	}
}

func (h *harness) publish(data string) {
	p, o := broker.Publication{Data: []byte(data)}, broker.PublishOptions{History: streamRule.History}
	_, err := h.Publish(context.Background(), "log", p, o)
	require.NoError(h.t, err)
}

// publishLost is publishNumbers with messages that get lost.
func (h *harness) publishLost(from, to int) {
	h.dropMessages("log", true)
	h.publishNumbers(from, to)
	h.dropMessages("log", false)
}

// client is a subscriber of the channel with a stream.
type client struct {
	*recorder
	subscription *hub.Subscription
	result       hub.AttachResult
}

var positioned = hub.AttachOptions{Positioned: true}

// attachPositioned attaches a positioned subscriber.
func (h *harness) attachPositioned(since *broker.Position) *client {
	h.t.Helper()
	c, err := h.tryAttachPositioned(since)
	require.NoError(h.t, err)
	return c
}

func (h *harness) tryAttachPositioned(since *broker.Position) (*client, error) {
	return h.tryAttach(positioned, since)
}

// attachLatest attaches a positioned subscriber that recovers the latest publication alone.
func (h *harness) attachLatest(since *broker.Position) *client {
	h.t.Helper()
	c, err := h.tryAttach(hub.AttachOptions{Positioned: true, RecoverLatest: true}, since)
	require.NoError(h.t, err)
	return c
}

func (h *harness) tryAttach(o hub.AttachOptions, since *broker.Position) (*client, error) {
	c := &client{recorder: &recorder{encoder: h.encoder}}
	var err error
	c.subscription, err = h.Hub.Subscribe(context.Background(), "log")
	require.NoError(h.t, err)
	first := func(r hub.AttachResult) {
		require.Zero(h.t, c.count(), "the result comes first")
		c.result = r
	}
	err = c.subscription.AttachPositioned(context.Background(), c.recorder, o, since, first)
	if err != nil {
		c.subscription.Release()
	}
	return c, err
}

// attachUnpositioned attaches a subscriber that may miss publications.
func (h *harness) attachUnpositioned() *client {
	h.t.Helper()
	c := &client{recorder: &recorder{encoder: h.encoder}}
	c.subscription = attach(h.t, h.Hub, "log", c.recorder)
	return c
}

func at(offset uint64, epoch string) *broker.Position {
	return &broker.Position{Offset: offset, Epoch: epoch}
}

// numbers returns what publishNumbers publishes.
func numbers(from, to int) []string {
	out := []string{}
	for i := from; i <= to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

// attach subscribes to a channel and attaches an unpositioned subscriber.
func attach(t testing.TB, h *hub.Hub, channel string, m hub.Subscriber) *hub.Subscription {
	t.Helper()
	s, err := h.Subscribe(context.Background(), channel)
	require.NoError(t, err)
	s.Attach(m, hub.AttachOptions{}, nil)
	return s
}
