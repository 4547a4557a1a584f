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

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend answers the subscribe hook as a test wants it, and sees what the gateway makes of it.
type backend struct {
	// answer is called for every question; it returns what refuses the channel, or nothing.
	answer func(channel string) (refusal string)
	// enough questions after the first open it. refused is closed when a refusal has arrived.
	enough        int
	open, refused chan struct{}
	once          sync.Once

	mu                    sync.Mutex
	asked, underWay, most int
	askedFor              map[string]bool
}

// waitFor makes answers, but for the first, wait until there are so many more questions.
func waitFor(questions int, answer func(channel string) string) *backend {
	return &backend{answer: answer, enough: questions, open: make(chan struct{}), refused: make(chan struct{}), askedFor: map[string]bool{}}
}

// HookCalled implements hooks.Observer.
func (b *backend) HookCalled(_, outcome string, _ time.Duration) {
	if outcome == hooks.OutcomeError {
		b.once.Do(func() { close(b.refused) })
	}
}
func (*backend) WebhookDelivered(string, int) {}
func (*backend) WebhookDropped(string, int)   {}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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

func (b *backend) begin(channel string) (asked int) {
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

func (b *backend) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.underWay--
}

// hooked is the protocol with a backend that is asked about subscriptions.
func hooked(t *testing.T, b *backend) (*Plain, *hub.Hub, *faulty) {
	t.Helper()
	server := httptest.NewServer(b)
	t.Cleanup(server.Close)
	p, h, presence := plain(t)
	asks, err := hooks.New(hooks.Options{Subscribe: hooks.Callback{URL: server.URL, Timeout: 10 * time.Second}, Observer: b})
	require.NoError(t, err)
	p.options.Session.Hooks, p.options.Session.MaxChannels = asks, 100
	return p, h, presence
}

// named are channels, and the query that names them.
func named(n int) (channels []string, query string) {
	for i := range n {
		channels = append(channels, fmt.Sprintf("c%02d", i))
	}
	return channels, "channel=" + strings.Join(channels, "&channel=")
}

func handshake(p *Plain, query string) (transport.Handler, error) {
	return p.accept(httptest.NewRequest(http.MethodGet, "/ws?"+query, nil))
}

func nobody(string) string { return "" }

// The backend answers the first question, and then none before it has been asked about all other channels,
// or as many as are asked at once.
func TestTheBackendIsAskedSideBySide(t *testing.T) {
	for _, many := range []int{1, 2, sideBySide, 5 * sideBySide} {
		t.Run(fmt.Sprint(many), func(t *testing.T) {
			b := waitFor(min(many-1, sideBySide), nobody)
			p, h, _ := hooked(t, b)
			channels, query := named(many)
			c := accept(t, p, query)
			require.Equal(t, channels, c.Channels())
			require.Equal(t, many, h.Channels())
			require.Equal(t, many, b.asked)
			require.LessOrEqual(t, b.most, sideBySide)
			c.OnOpen(&fakeConn{})
			require.Equal(t, many, subscribers(h))
			c.OnClose(transport.Close{})
		})
	}
}

// Which refusal a client is told does not depend on how fast they come.
func TestTheFirstChannelsRefusalIsTheAnswer(t *testing.T) {
	var b *backend
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
	p, h, _ := hooked(t, b)
	_, query := named(4)
	_, err := handshake(p, query)
	require.EqualError(t, err, "not this one")
	require.Zero(t, b.underWay)
	require.Eventually(t, func() bool { return h.Channels() == 0 }, 10*time.Second, time.Millisecond, "nothing stays reserved")
}

// After a refusal the backend is asked no more than it has to be.
func TestNoMoreQuestionsAfterARefusal(t *testing.T) {
	for first, most := range map[string]int{"c00": 1, "c01": 1 + 2*sideBySide} {
		b := waitFor(1, func(channel string) string {
			if channel < first {
				return ""
			}
			return "no"
		})
		p, h, _ := hooked(t, b)
		_, query := named(100)
		_, err := handshake(p, query)
		require.EqualError(t, err, "no")
		require.LessOrEqual(t, b.asked, most)
		require.True(t, b.askedFor[first])
		require.Eventually(t, func() bool { return h.Channels() == 0 }, 10*time.Second, time.Millisecond)
	}
}

// What the token brings is nothing to ask about, and comes with what the backend allows.
func TestChannelsOfTheTokenAreNotAskedAbout(t *testing.T) {
	b := waitFor(1, nobody)
	p, h, _ := hooked(t, b)
	c := &client{plain: p, session: session.New(&p.options.Session)}
	require.NoError(t, c.reserve(t.Context(), []string{"a", "b", "closed:given"}, []string{"closed:given"}))
	require.Equal(t, map[string]bool{"a": true, "b": true}, b.askedFor)
	require.Equal(t, 3, h.Channels())
	c.session.Close()
}

// buggy is a broker that panics when the gateway subscribes to a channel whose name is part of in.
type buggy struct {
	*memory.Broker
	in string
}

func (b *buggy) Subscribe(channel string, confirmed func()) {
	if strings.Contains(b.in, channel) {
		panic("5ecre7 " + channel)
	}
	b.Broker.Subscribe(channel, confirmed)
}

// breakIn makes the broker of a protocol panic in some channels.
func breakIn(t *testing.T, p *Plain, channels string) {
	t.Helper()
	b, ok := p.options.Session.Broker.(*buggy)
	require.True(t, ok)
	b.in = channels
}

// What a handshake had before it met a bug is let go.
func TestABugKeepsNoOtherChannels(t *testing.T) {
	p, h, _ := plain(t)
	breakIn(t, p, "b")
	require.Panics(t, func() { _, _ = handshake(p, "channel=a&channel=b") })
	require.Eventually(t, func() bool { return h.Channels() == 1 }, 10*time.Second, time.Millisecond, "that of the bug")
}

// A bug ends the handshake, and not the gateway. Where nothing is asked side by side there is no other
// goroutine either, and the transport recovers it.
func TestABugInAHandshake(t *testing.T) {
	for name, c := range map[string]struct {
		hook, together bool
		given          []string
	}{
		"asked about together": {hook: true, together: true},
		"asked about alone":    {hook: true, given: []string{"a", "b"}},
		"no hook":              {},
	} {
		t.Run(name, func(t *testing.T) {
			p, _, _ := hooked(t, waitFor(1, nobody))
			if !c.hook {
				p, _, _ = plain(t)
			}
			breakIn(t, p, "bc")
			var log strings.Builder
			p.options.Logger = slog.New(slog.NewTextHandler(&log, nil))
			client := &client{plain: p, session: session.New(&p.options.Session)}
			reserve := func() error { return client.reserve(context.Background(), []string{"a", "b", "c"}, c.given) }
			if !c.together {
				require.Panics(t, func() { _ = reserve() })
				return
			}
			require.ErrorIs(t, reserve(), recovery.ErrPanic)
			require.Contains(t, log.String(), "panic.type=string")
			require.NotContains(t, log.String(), "5ecre7")
			client.session.Close()
			require.Empty(t, client.Channels())
		})
	}
}
