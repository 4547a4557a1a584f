package plain

import (
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeBackend answers the subscribe hook as a test wants it, and observes the hook's outcomes.
type fakeBackend struct {
	// answer is called for every hook call; it returns the message that refuses the channel, or nothing.
	answer func(channel string) (refusal string)
	// open is closed after the first call and enough more. refused is closed when a refusal has arrived.
	enough        int
	open, refused chan struct{}
	once          sync.Once

	mu                    sync.Mutex
	asked, underWay, most int
	askedFor              map[string]bool
}

// waitFor returns a backend that delays all answers but the first until there are so many more calls.
func waitFor(questions int, answer func(channel string) string) *fakeBackend {
	return &fakeBackend{
		answer:   answer,
		enough:   questions,
		open:     make(chan struct{}),
		refused:  make(chan struct{}),
		askedFor: map[string]bool{},
	}
}

// HookCalled implements hooks.Observer.
func (b *fakeBackend) HookCalled(_, outcome string, _ time.Duration) {
	if outcome == hooks.OutcomeError {
		b.once.Do(func() { close(b.refused) })
	}
}
func (*fakeBackend) WebhookDelivered(string, int) {}
func (*fakeBackend) WebhookDropped(string, int)   {}

func (b *fakeBackend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var question struct{ Channel string }
	_ = json.NewDecoder(r.Body).Decode(&question)
	open := b.open
	if b.begin(question.Channel) == 1 {
		open = make(chan struct{})
		close(open)
	}
	refusal := ""
	select {
	case <-open:
		refusal = b.answer(question.Channel)
	case <-r.Context().Done():
	}
	b.end()
	if refusal == "" {
		_, _ = fmt.Fprint(w, `{"result":{}}`)
		return
	}
	_, _ = fmt.Fprintf(w, `{"error":{"code":1000,"message":%q}}`, refusal)
}

func (b *fakeBackend) begin(channel string) (asked int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	b.underWay++
	b.most = max(b.most, b.underWay)
	b.askedFor[channel] = true
	if b.asked == 1+b.enough {
		close(b.open)
	}
	return b.asked
}

func (b *fakeBackend) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay--
}

// newHookedPlain returns the protocol with a subscribe hook.
func newHookedPlain(t *testing.T, b *fakeBackend) (*Plain, *hub.Hub, *fakePresence) {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	p, h, presence := newPlain(t)
	asks, err := hooks.New(hooks.Options{
		Subscribe: hooks.Callback{URL: server.URL, Timeout: 10 * time.Second},
		Observer:  b,
	})
	require.NoError(t, err)
	p.options.Session.Hooks, p.options.Session.MaxChannels = asks, 100
	return p, h, presence
}

// channelNames returns n names of channels, and the query that names them.
func channelNames(n int) (channels []string, query string) {
	for i := range n {
		channels = append(channels, fmt.Sprintf("c%02d", i))
	}
	return channels, "channel=" + strings.Join(channels, "&channel=")
}

func handshake(p *Plain, query string) (transport.Handler, error) {
	return p.accept(httptest.NewRequest(http.MethodGet, "/ws?"+query, nil))
}

func accepts(string) string { return "" }

// The backend answers the first call, and then none before it has been called for all other channels, or as many as are
// open at once.
func TestReserveAllCallsHooksInParallel(t *testing.T) {
	for _, many := range []int{1, 2, protocol.MaxParallelHooks, 5 * protocol.MaxParallelHooks} {
		t.Run(fmt.Sprint(many), func(t *testing.T) {
			b := waitFor(min(many-1, protocol.MaxParallelHooks), accepts)
			p, h, _ := newHookedPlain(t, b)
			channels, query := channelNames(many)
			c := accept(t, p, query)
			require.Equal(t, channels, c.Channels())
			require.Equal(t, many, h.Channels())
			require.Equal(t, many, b.asked)
			require.LessOrEqual(t, b.most, protocol.MaxParallelHooks)
			c.OnOpen(&fakeConn{})
			require.Equal(t, many, subscribers(h))
			c.OnClose(transport.Close{})
		})
	}
}

// The refusal that a client gets does not depend on the order in which the refusals arrive.
func TestReserveAllReturnsTheFirstChannelsError(t *testing.T) {
	var b *fakeBackend
	b = waitFor(3, func(channel string) string {
		switch channel {
		case "c01":
			<-b.refused
			return "not this one"
		case "c03":
			return "nor that one"
		}
		return ""
	})
	p, h, _ := newHookedPlain(t, b)
	_, query := channelNames(4)
	_, err := handshake(p, query)
	require.EqualError(t, err, "not this one")
	require.Zero(t, b.underWay)
	require.Eventually(t, func() bool { return h.Channels() == 0 }, 10*time.Second, time.Millisecond,
		"nothing stays reserved")
}

// After a refusal no more hooks are called than necessary.
func TestReserveAllStopsAfterARefusal(t *testing.T) {
	for first, most := range map[string]int{"c00": 1, "c01": 1 + 2*protocol.MaxParallelHooks} {
		b := waitFor(1, func(channel string) string {
			if channel < first {
				return ""
			}
			return "no"
		})
		p, h, _ := newHookedPlain(t, b)
		_, query := channelNames(100)
		_, err := handshake(p, query)
		require.EqualError(t, err, "no")
		require.LessOrEqual(t, b.asked, most)
		require.True(t, b.askedFor[first])
		require.Eventually(t, func() bool { return h.Channels() == 0 }, 10*time.Second, time.Millisecond)
	}
}

// Channels of the token need no hook, and come with those that the backend allows.
func TestReserveNeedsNoHookForTokenChannels(t *testing.T) {
	b := waitFor(1, accepts)
	p, h, _ := newHookedPlain(t, b)
	c := &client{plain: p, Base: protocol.NewBase(&p.options)}
	given := []string{"closed:given"}
	c.Session.Bind(uuid.Nil, session.Identity{Claims: &auth.Claims{Channels: given}})
	require.NoError(t, c.reserve(t.Context(), []string{"a", "b", "closed:given"}, given))
	require.Equal(t, map[string]bool{"a": true, "b": true}, b.askedFor)
	require.Equal(t, 3, h.Channels())
	c.Session.Close()
}

// panickingBroker is a broker that panics when the gateway subscribes to a channel whose name is part of in.
type panickingBroker struct {
	*memory.Broker
	in string
}

func (b *panickingBroker) Subscribe(channel string, confirmed func()) {
	if strings.Contains(b.in, channel) {
		panic("5ecre7 " + channel)
	}
	b.Broker.Subscribe(channel, confirmed)
}

// breakIn makes the broker of a protocol panic in some channels.
func breakIn(t *testing.T, p *Plain, channels string) {
	t.Helper()
	b, ok := p.options.Session.Broker.(*panickingBroker)
	require.True(t, ok)
	b.in = channels
}

// A panic releases the channels that the handshake had reserved.
func TestAcceptReleasesChannelsAfterAPanic(t *testing.T) {
	p, h, _ := newPlain(t)
	breakIn(t, p, "b")
	require.Panics(t, func() { _, _ = handshake(p, "channel=a&channel=b") })
	require.Eventually(t, func() bool { return h.Channels() == 1 }, 10*time.Second, time.Millisecond, "that of the bug")
}

// A panic ends the handshake, and not the gateway. Without parallel hooks there is no other goroutine, and the
// transport recovers the panic.
func TestReserveAllRecoversAPanic(t *testing.T) {
	for name, c := range map[string]struct {
		hook, together bool
		given          []string
	}{
		"asked about together": {hook: true, together: true},
		"asked about alone":    {hook: true, given: []string{"a", "b"}},
		"no hook":              {},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := newHookedPlain(t, waitFor(1, accepts))
			if !c.hook {
				p, _, _ = newPlain(t)
			}
			breakIn(t, p, "bc")
			var log strings.Builder
			p.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
			client := &client{plain: p, Base: protocol.NewBase(&p.options)}
			client.Session.Bind(uuid.Nil, session.Identity{Claims: &auth.Claims{Channels: c.given}})
			reserve := func() error { return client.reserve(context.Background(), []string{"a", "b", "c"}, c.given) }
			if !c.together {
				require.Panics(t, func() { _ = reserve() })
				return
			}
			require.ErrorIs(t, reserve(), recovery.ErrPanic)
			require.Contains(t, log.String(), "panic.type=string")
			require.NotContains(t, log.String(), "5ecre7")
			client.Session.Close()
			require.Empty(t, client.Channels())
		})
	}
}
