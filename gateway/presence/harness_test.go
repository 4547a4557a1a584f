package presence_test

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/presence"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

const (
	ttl   = time.Minute
	grace = 15 * time.Second
	// room is a channel with presence that publishes joins and leaves.
	room = "room"
	// silent is a channel with presence that publishes neither.
	silent = "silent"
)

// faultyBroker is a memory broker whose calls a test can delay or let fail.
type faultyBroker struct {
	*memory.Broker

	mu sync.Mutex
	// before holds functions that run before a call, by its name. The call returns their error.
	before map[string]func() error
	// after holds functions that run when a call is done, by its name.
	after map[string]func()
}

// on has before run ahead of a call; nil removes it.
func (b *faultyBroker) on(call string, before func() error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before[call] = before
}

// onEnd has after run when a call is done.
func (b *faultyBroker) onEnd(call string, after func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.after[call] = after
}

func (b *faultyBroker) begin(call string) error {
	b.mu.Lock()
	f := b.before[call]
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	return f()
}

func (b *faultyBroker) end(call string) {
	b.mu.Lock()
	f := b.after[call]
	b.mu.Unlock()
	if f != nil {
		f()
	}
}

// Join implements broker.Presence. It returns the errors of the functions before "join" and "answer to join".
func (b *faultyBroker) Join(
	ctx context.Context, channel string, m broker.ClientInfo, ttl time.Duration,
) (broker.Joined, error) {
	if err := b.begin("join"); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	joined, err := b.Broker.Join(ctx, channel, m, ttl)
	return joined, errors.Join(err, b.begin("answer to join"))
}

// Leave implements broker.Presence. It returns the error of the function before "leave".
func (b *faultyBroker) Leave(
	ctx context.Context, channel string, m broker.ClientInfo, grace time.Duration,
) (bool, []broker.ClientInfo, error) {
	if err := b.begin("leave"); err != nil {
		return false, nil, err
	}
	return b.Broker.Leave(ctx, channel, m, grace)
}

// Renew implements broker.Presence. It returns the error of the function before "renew".
func (b *faultyBroker) Renew(
	ctx context.Context, channel string, clients []string, ttl time.Duration,
) ([]string, []broker.ClientInfo, error) {
	if err := b.begin("renew"); err != nil {
		return nil, nil, err
	}
	missing, gone, err := b.Broker.Renew(ctx, channel, clients, ttl)
	b.end("renew")
	return missing, gone, err
}

// Sweep implements broker.Presence. It returns the error of the function before "sweep".
func (b *faultyBroker) Sweep(ctx context.Context, channel string) ([]broker.ClientInfo, error) {
	if err := b.begin("sweep"); err != nil {
		return nil, err
	}
	return b.Broker.Sweep(ctx, channel)
}

// harness is a Keeper with a hub and a broker. It records the joins and leaves that are published.
type harness struct {
	*presence.Keeper
	t      *testing.T
	broker *faultyBroker
	hub    *hub.Hub
	stop   context.CancelFunc
	ended  chan error

	mu        sync.Mutex
	published []string
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	h := &harness{t: t, ended: make(chan error, 1), stop: func() {}}
	h.broker = &faultyBroker{
		Broker: memory.New(memory.Options{}), before: map[string]func() error{}, after: map[string]func(){},
	}
	h.hub = hub.New(hub.Options{Broker: h.broker, Logger: slog.New(slog.DiscardHandler), Rules: channel.Rules{
		{Pattern: room, Presence: true, JoinLeave: true}, {Pattern: silent, Presence: true},
	}})
	brokertest.Connect(h.broker, h)
	h.Keeper = h.newKeeper(slog.New(slog.DiscardHandler))
	return h
}

func (h *harness) newKeeper(log *slog.Logger) *presence.Keeper {
	return presence.New(presence.Options{
		Broker: h.broker,
		Hub:    h.hub,
		TTL:    ttl,
		Grace:  grace,
		Logger: log,
	})
}

// run runs the Keeper until end.
func (h *harness) run() {
	ctx, cancel := context.WithCancel(context.Background())
	h.stop = cancel
	go func() { h.ended <- h.Run(ctx) }()
}

func (h *harness) end() {
	h.t.Helper()
	h.stop()
	require.NoError(h.t, <-h.ended)
}

// Resumed implements broker.PublicationHandler.
func (h *harness) Resumed(string) {}

// Deliver implements broker.PublicationHandler.
func (h *harness) Deliver(_ string, p broker.Publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	sign := map[broker.Kind]string{broker.KindJoin: "+", broker.KindLeave: "-"}[p.Kind]
	h.published = append(h.published, sign+p.Info.Client)
}

// takePublished returns the joins (+) and leaves (-) that were published since the last call.
func (h *harness) takePublished() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	published := strings.Join(h.published, " ")
	h.published = nil
	return published
}

// members returns the clients that are members of a channel, sorted.
func (h *harness) members(channel string) string {
	h.t.Helper()
	members, err := h.broker.Members(h.t.Context(), channel, 0)
	require.NoError(h.t, err)
	return strings.Join(slices.Sorted(maps.Keys(members)), " ")
}

// info returns the client c1 of the user ann for "c1/ann".
func info(member string) broker.ClientInfo {
	client, user, _ := strings.Cut(member, "/")
	return broker.ClientInfo{Client: client, User: user}
}

// join makes a client a member of room.
func (h *harness) join(member string) {
	h.t.Helper()
	h.beginJoin(member)(true)
}

// beginJoin makes a client a member of room whose subscription has not begun.
func (h *harness) beginJoin(member string) (finish func(attached bool)) {
	h.t.Helper()
	finish, err := h.Join(h.t.Context(), room, info(member))
	require.NoError(h.t, err)
	return finish
}

// loseAll loses a client in some channels at once.
func (h *harness) loseAll(member string, channels ...string) {
	h.LeaveAll(info(member).Client, len(channels), func(yield func(string, broker.ClientInfo) bool) {
		for _, channel := range channels {
			if !yield(channel, info(member)) {
				return
			}
		}
	})
}

// fakeMember is a subscriber that is present until it has left.
type fakeMember struct {
	broker.ClientInfo
	mu   sync.Mutex
	left bool
}

// PresenceInfo implements presence.Member.
func (m *fakeMember) PresenceInfo(string) (broker.ClientInfo, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ClientInfo, !m.left
}

func (m *fakeMember) leave() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = true
}

// Encoder implements hub.Subscriber.
func (m *fakeMember) Encoder() hub.Encoder { return &silentEncoder{} }

// Send implements hub.Subscriber.
func (m *fakeMember) Send(transport.Frame) bool { return true }

// InsufficientState implements hub.Subscriber.
func (m *fakeMember) InsufficientState(*hub.Subscription) {}

// silentEncoder encodes nothing.
type silentEncoder struct{}

// Encode implements hub.Encoder. It returns no error.
func (*silentEncoder) Encode(string, broker.Publication) (transport.Frame, error) {
	return transport.Frame{}, nil
}

// subscribe makes a client a member of room that the Keeper has to renew.
func (h *harness) subscribe(member string) *fakeMember {
	h.t.Helper()
	m := &fakeMember{ClientInfo: info(member)}
	s, err := h.hub.Subscribe(h.t.Context(), room)
	require.NoError(h.t, err)
	h.t.Cleanup(s.Release)
	s.Attach(m, hub.AttachOptions{InPresence: true}, nil)
	h.join(member)
	return m
}
