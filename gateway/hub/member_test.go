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

// encoder counts what it encodes, and knows what each frame was.
type encoder struct {
	mu      sync.Mutex
	encoded int
	frames  map[transport.Frame]broker.Publication
	// refuse says which publications fail, mute which the protocol cannot say.
	refuse, mute func(p broker.Publication) bool
}

func (e *encoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.encoded++
	if e.refuse != nil && e.refuse(p) {
		return transport.Frame{}, errors.New("cannot")
	}
	if e.mute != nil && e.mute(p) {
		return transport.Frame{}, nil
	}
	f := transport.NewFrame(transport.Text, p.Data)
	if e.frames == nil {
		e.frames = map[transport.Frame]broker.Publication{}
	}
	e.frames[f] = p
	return f, nil
}

func (e *encoder) publication(f transport.Frame) broker.Publication {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.frames[f]
}

// member remembers what it got.
type member struct {
	encoder *encoder
	onSend  func(p broker.Publication)
	onLost  func(o *hub.Subscription)

	mu   sync.Mutex
	got  []broker.Publication
	lost int
}

func (m *member) Encoder() hub.Encoder { return m.encoder }

func (m *member) Send(f transport.Frame) bool {
	p := m.encoder.publication(f)
	if m.onSend != nil {
		m.onSend(p)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, p)
	return true
}

func (m *member) InsufficientState(o *hub.Subscription) {
	m.mu.Lock()
	m.lost++
	m.mu.Unlock()
	if m.onLost != nil {
		m.onLost(o)
	}
}

func (m *member) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got)
}

func (m *member) timesLost() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// said is the data of what it got.
func (m *member) said() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return said(m.got)
}

func said(ps []broker.Publication) []string {
	out := []string{}
	for _, p := range ps {
		out = append(out, string(p.Data))
	}
	return out
}

// logged is the rule of channels with a stream.
var logged = channel.Rule{Pattern: "log*", History: channel.History{Size: 5_000, TTL: channel.Duration(time.Hour)}, Recovery: true}

// scene is a hub with a stage for its broker.
type scene struct {
	*hub.Hub
	*stage
	t          *testing.T
	encoder    *encoder
	mu         sync.Mutex
	unrepaired int
}

func newHub(o hub.Options) (*hub.Hub, *stage) {
	o.UnsubscribeDelay = time.Second
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.Rules = channel.Rules{logged}
	s := newStage()
	o.Broker = s
	h := hub.New(o)
	s.deliver = h.Deliver
	return h, s
}

func newScene(t *testing.T, o hub.Options) *scene {
	s := &scene{t: t, encoder: &encoder{}}
	o.GapUnrepaired = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.unrepaired++
	}
	s.Hub, s.stage = newHub(o)
	return s
}

// run keeps the hub checking until the test ends.
func (s *scene) run() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Hub.Run(ctx)
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
}

// say publishes numbers to the channel with a stream.
func (s *scene) say(from, to int) {
	for i := from; i <= to; i++ {
		s.publish(strconv.Itoa(i))
	}
}

func (s *scene) publish(data string) {
	_, err := s.Publish(context.Background(), "log", broker.Publication{Data: []byte(data)}, broker.PublishOptions{History: logged.History})
	require.NoError(s.t, err)
}

// quiet makes the messages of some publications get lost.
func (s *scene) quiet(from, to int) {
	s.lose("log", true)
	s.say(from, to)
	s.lose("log", false)
}

// cast is a member in a channel with a stream.
type cast struct {
	*member
	hold   *hub.Subscription
	joined hub.AttachResult
}

var counting = hub.AttachOptions{Positioned: true}

// come lets a member in that counts on the stream.
func (s *scene) come(since *broker.Position) *cast {
	s.t.Helper()
	c, err := s.tryToCome(since)
	require.NoError(s.t, err)
	return c
}

func (s *scene) tryToCome(since *broker.Position) (*cast, error) {
	c := &cast{member: &member{encoder: s.encoder}}
	var err error
	c.hold, err = s.Hub.Subscribe(context.Background(), "log")
	require.NoError(s.t, err)
	err = c.hold.AttachPositioned(context.Background(), c.member, counting, since, func(j hub.AttachResult) {
		require.Zero(s.t, c.count(), "the answer is first")
		c.joined = j
	})
	if err != nil {
		c.hold.Release()
	}
	return c, err
}

// watch lets a member in that does not count on the stream.
func (s *scene) watch() *cast {
	s.t.Helper()
	c := &cast{member: &member{encoder: s.encoder}}
	c.hold = join(s.t, s.Hub, "log", c.member)
	return c
}

func at(offset uint64, epoch string) *broker.Position {
	return &broker.Position{Offset: offset, Epoch: epoch}
}

// numbers are what say publishes.
func numbers(from, to int) []string {
	out := []string{}
	for i := from; i <= to; i++ {
		out = append(out, strconv.Itoa(i))
	}
	return out
}

func join(t testing.TB, h *hub.Hub, channel string, m hub.Subscriber) *hub.Subscription {
	t.Helper()
	hold, err := h.Subscribe(context.Background(), channel)
	require.NoError(t, err)
	hold.Attach(m, hub.AttachOptions{}, nil)
	return hold
}
