package session_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const timeout = 5 * time.Second

// slowBroker is a broker whose calls a test can delay or make fail.
type slowBroker struct {
	*memory.Broker

	mu sync.Mutex
	// during runs within a call, by the call's name; its error becomes the call's.
	during map[string]func(ctx context.Context) error
	// unconfirmed are subscriptions that wait for confirm.
	unconfirmed        []func()
	holdsConfirmations bool
}

func (b *slowBroker) on(call string, during func(ctx context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.during[call] = during
}

func (b *slowBroker) call(ctx context.Context, name string) error {
	b.mu.Lock()
	f := b.during[name]
	b.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx)
}

// Subscribe implements broker.Broker.
func (b *slowBroker) Subscribe(_ string, confirmed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holdsConfirmations {
		b.unconfirmed = append(b.unconfirmed, confirmed)
		return
	}
	confirmed()
}

// holdConfirmations leaves subscriptions unconfirmed until confirm.
func (b *slowBroker) holdConfirmations() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holdsConfirmations = true
}

func (b *slowBroker) confirm() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.holdsConfirmations = false
	for _, confirmed := range b.unconfirmed {
		confirmed()
	}
	b.unconfirmed = nil
}

// History implements broker.Broker.
func (b *slowBroker) History(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	if err := b.call(ctx, "history"); err != nil {
		return broker.Stream{}, err
	}
	stream, err := b.Broker.History(ctx, name, q)
	return stream, errors.Join(err, b.call(ctx, "history on its way"))
}

// Members implements broker.Broker.
func (b *slowBroker) Members(ctx context.Context, name string, bytes int) (map[string]broker.ClientInfo, error) {
	members, err := b.Broker.Members(ctx, name, bytes)
	return members, errors.Join(err, b.call(ctx, "members on their way"))
}

// Publish implements broker.Broker.
func (b *slowBroker) Publish(ctx context.Context, name string, p broker.Publication,
	o broker.PublishOptions) (broker.PublishResult, error) {
	if err := b.call(ctx, "publish"); err != nil {
		return broker.PublishResult{}, err
	}
	return b.Broker.Publish(ctx, name, p, o)
}

// Revoked implements broker.Directory.
func (b *slowBroker) Revoked(ctx context.Context, user string) (time.Time, error) {
	if err := b.call(ctx, "revoked"); err != nil {
		return time.Time{}, err
	}
	return b.Broker.Revoked(ctx, user)
}

// presenceRecorder records joins (+), whether they were settled as begun (!) or undone (x), and leaves, explicit (-) or
// not (~).
type presenceRecorder struct {
	mu     sync.Mutex
	log    []string
	during func(ctx context.Context) error
}

func (a *presenceRecorder) write(entry string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.log = append(a.log, entry)
}

func (a *presenceRecorder) read() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	log := strings.ReplaceAll(strings.Join(a.log, " "), c1.String(), "c1")
	a.log = nil
	return log
}

func (a *presenceRecorder) Join(ctx context.Context, channel string,
	m broker.ClientInfo) (settle func(begun bool), err error) {
	if a.during != nil {
		if err := a.during(ctx); err != nil {
			return nil, err
		}
	}
	a.write(fmt.Sprintf("+%s:%s%s%s", channel, m.Client, m.ConnInfo, m.ChanInfo))
	return func(begun bool) {
		sign := map[bool]string{true: "!", false: "x"}[begun]
		a.write(fmt.Sprintf("%s%s:%s", sign, channel, m.Client))
	}, nil
}

func (a *presenceRecorder) Update(
	ctx context.Context, channel, client string, info func() (broker.ClientInfo, bool),
) error {
	if a.during != nil {
		if err := a.during(ctx); err != nil {
			return err
		}
	}
	if m, present := info(); present {
		a.write(fmt.Sprintf("=%s:%s%s%s", channel, client, m.ConnInfo, m.ChanInfo))
	}
	return nil
}

func (a *presenceRecorder) Leave(channel string, m broker.ClientInfo, said bool) {
	sign := map[bool]string{true: "-", false: "~"}[said]
	a.write(fmt.Sprintf("%s%s:%s", sign, channel, m.Client))
}

func (a *presenceRecorder) LeaveAll(client string, n int, members iter.Seq2[string, broker.ClientInfo]) {
	for channel, m := range members {
		a.write(fmt.Sprintf("~%s:%s%s%s", channel, m.Client, m.ConnInfo, m.ChanInfo))
		if n--; n < 0 || m.Client != client {
			a.write("?")
		}
	}
}

// fakeTokens verifies tokens by looking them up.
type fakeTokens struct {
	connections   map[string]*auth.Claims
	subscriptions map[string]*auth.SubscriptionClaims
	errors        map[string]error
}

func (v *fakeTokens) On() bool { return true }

func (v *fakeTokens) Connection(_ context.Context, token string) (*auth.Claims, error) {
	if err := v.errors[token]; err != nil {
		return nil, err
	}
	if c := v.connections[token]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w: not in the list", auth.ErrInvalid)
}

func (v *fakeTokens) Subscription(_ context.Context, token, user, channel string) (*auth.SubscriptionClaims, error) {
	if err := v.errors[token]; err != nil {
		return nil, err
	}
	if c := v.subscriptions[token]; c != nil && c.User == user && c.Channel == channel {
		return c, nil
	}
	return nil, fmt.Errorf("%w: not in the list", auth.ErrInvalid)
}

// harness holds what sessions are made of.
type harness struct {
	session.Options
	t        *testing.T
	broker   *slowBroker
	presence *presenceRecorder
	tokens   *fakeTokens
	// log is the Coalescer's. It is complete when no read runs.
	log strings.Builder
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	history := channel.History{Size: 2000, TTL: channel.Duration(time.Minute)}
	b := &slowBroker{Broker: memory.New(memory.Options{}), during: map[string]func(context.Context) error{}}
	h := hub.New(hub.Options{
		Broker:           b,
		Logger:           slog.New(slog.DiscardHandler),
		UnsubscribeDelay: time.Second,
		SubscribeTimeout: timeout,
		Rules: channel.Rules{{Pattern: "seen:*", Presence: true},
			{Pattern: "kept:*", History: history, Recovery: true, Presence: true},
			{Pattern: "told:*", History: history, Recovery: true, Presence: true, JoinLeave: true},
			{Pattern: "told", Presence: true, JoinLeave: true}, {Pattern: "history:*", History: history},
			{Pattern: "forced:*", History: history, Recovery: true, Presence: true, JoinLeave: true, ForceJoinLeave: true},
			{Pattern: "forced", Presence: true, JoinLeave: true, ForceJoinLeave: true},
			{Pattern: "members:*", History: history, Presence: true, ReadPresence: channel.ReadAnybody},
			{Pattern: "log:*", History: history, Presence: true, ReadHistory: channel.ReadAnybody},
			{Pattern: "state:*", History: history, Recovery: true, RecoveryMode: channel.RecoveryCache},
			{Pattern: "closed:*", Subscribe: channel.SubscribeToken}, {Pattern: "anybody:*", Publish: channel.PublishAnybody},
			{Pattern: "nobody:*", Publish: channel.PublishNobody},
		},
	})
	r := &harness{
		t:        t,
		presence: &presenceRecorder{},
		broker:   b,
		tokens: &fakeTokens{
			connections:   map[string]*auth.Claims{},
			subscriptions: map[string]*auth.SubscriptionClaims{},
			errors:        map[string]error{},
		},
	}
	brokertest.Connect(b, h)
	none, err := hooks.New(hooks.Options{})
	require.NoError(t, err)
	r.Options = session.Options{
		Hub:         h,
		Broker:      r.broker,
		Presence:    r.presence,
		Tokens:      r.tokens,
		Hooks:       none,
		Anonymous:   true,
		MaxChannels: 4,
		Timeout:     timeout,
		Published:   func(time.Duration, error) {},
		Coalescer:   session.NewCoalescer(slog.New(slog.NewTextHandler(&r.log, nil))),
	}
	return r
}

// c1 is the connection of the sessions.
var c1 = uuid.MustParse("c1c1c1c1-0000-4000-8000-000000000001")

// session returns a session of the connection c1 with the claims of a client, or nil.
func (r *harness) session(client *auth.Claims) *session.Session {
	s := session.New(&r.Options)
	s.Bind(c1, session.Identity{Claims: client})
	return &s
}

// answering configures hooks of a backend that gives one answer for each hook, and returns its recorder.
func (r *harness) answering(answers map[string]string) *hookRecorder {
	r.t.Helper()
	a := &hookRecorder{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		a.add(request)
		if a.delay > 0 {
			time.Sleep(a.delay)
		}
		if a.during != nil {
			a.during()
		}
		_, _ = w.Write([]byte(answers[strings.TrimPrefix(request.URL.Path, "/")]))
	}))
	r.t.Cleanup(server.Close)
	callback := func(name string) hooks.Callback {
		if answers[name] == "" {
			return hooks.Callback{}
		}
		return hooks.Callback{URL: server.URL + "/" + name, Timeout: timeout}
	}
	h, err := hooks.New(hooks.Options{
		Connect:    callback("connect"),
		Subscribe:  callback("subscribe"),
		Publish:    callback("publish"),
		RPC:        callback("rpc"),
		Refresh:    callback("refresh"),
		SubRefresh: callback("sub_refresh"),
	})
	require.NoError(r.t, err)
	r.Hooks = h
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		require.NoError(r.t, <-ended)
	})
	return a
}

// hookRecorder records the requests of hooks.
type hookRecorder struct {
	// delay is how long the backend takes to answer.
	delay time.Duration
	// during runs before the backend answers.
	during func()

	mu     sync.Mutex
	bodies []string
}

func (a *hookRecorder) add(r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.bodies = append(a.bodies, string(body))
}

func (a *hookRecorder) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bodies
}

// fakeSubscriber counts the frames that it gets.
type fakeSubscriber struct {
	mu   sync.Mutex
	got  []string
	lost []*hub.Subscription
}

func (m *fakeSubscriber) Encoder() hub.Encoder { return &textEncoder{} }

func (m *fakeSubscriber) Send(transport.Frame) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, "frame")
	return true
}

func (m *fakeSubscriber) PresenceInfo(string) (broker.ClientInfo, bool) {
	return broker.ClientInfo{}, false
}

func (m *fakeSubscriber) InsufficientState(o *hub.Subscription) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = append(m.lost, o)
}

func (m *fakeSubscriber) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.got)
}

type textEncoder struct{}

func (*textEncoder) Encode(_ string, p broker.Publication) (transport.Frame, error) {
	return transport.NewFrame(transport.Text, p.Data), nil
}

func ignore(session.SubscribeResult) {}

// to returns a request for a channel with a subscriber that the test does not look at.
func to(channel string) session.SubscribeRequest {
	return session.SubscribeRequest{Channel: channel, Subscriber: &fakeSubscriber{}}
}
