package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/fleet/control"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeDirectory is the directory of all gateways of a test.
type fakeDirectory struct {
	// mu guards the fields below, which are by gateway ID, and by user in the case of registered.
	mu         sync.Mutex
	gateways   map[string]*gateway
	announced  map[string][]byte
	registered map[string][]string
}

// fakeBroker is the broker of one gateway. All gateways share one memory broker for streams and presence.
type fakeBroker struct {
	*memory.Broker
	*fakeDirectory
	gatewayID string
}

// Announce implements broker.Directory.
func (b *fakeBroker) Announce(_ context.Context, info []byte, _ time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.announced[b.gatewayID] = info
	return nil
}

// Withdraw implements broker.Directory.
func (b *fakeBroker) Withdraw(context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.announced, b.gatewayID)
	return nil
}

// Gateways implements broker.Directory.
func (b *fakeBroker) Gateways(context.Context) (map[string][]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.announced), nil
}

// Send implements broker.Directory.
func (b *fakeBroker) Send(_ context.Context, gatewayID string, message []byte) (bool, error) {
	b.mu.Lock()
	to := b.gateways[gatewayID]
	b.mu.Unlock()
	if to == nil || to.killed {
		return false, nil
	}
	if !to.unresponsive {
		to.OnMessage(message)
	}
	return true, nil
}

// Register implements broker.Directory.
func (b *fakeBroker) Register(_ context.Context, users []string, _ time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, user := range users {
		if !slices.Contains(b.registered[user], b.gatewayID) {
			b.registered[user] = append(b.registered[user], b.gatewayID)
		}
	}
	return nil
}

// Deregister implements broker.Directory.
func (b *fakeBroker) Deregister(_ context.Context, users []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, user := range users {
		b.registered[user] = slices.DeleteFunc(b.registered[user], func(id string) bool { return id == b.gatewayID })
	}
	return nil
}

// Lookup implements broker.Directory.
func (b *fakeBroker) Lookup(_ context.Context, user string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.registered[user]), nil
}

// gateway is a Dispatcher with what it needs.
type gateway struct {
	*control.Dispatcher
	t       *testing.T
	id      registry.GatewayID
	clients *control.Clients
	hub     *hub.Hub
	broker  *fakeBroker
	// killed means that the gateway no longer exists.
	killed bool
	// unresponsive means that the gateway ignores all messages.
	unresponsive bool
	// draining means that the gateway says so to the others.
	draining atomic.Bool
}

// errDown is an error that no package defines.
var errDown = errors.New("down")

// hubs passes publications to the hubs of all gateways.
type hubs struct{ all []*hub.Hub }

func (hs *hubs) Deliver(channel string, p broker.Publication) {
	for _, h := range hs.all {
		h.Deliver(channel, p)
	}
}

func (*hubs) Resumed(string) {}

// fleet calls do with running gateways of these names in a synctest bubble.
func fleet(t *testing.T, names string, do func(t *testing.T, gateways []*gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		hubs := &hubs{}
		shared := memory.New(memory.Options{})
		brokertest.Connect(shared, hubs)
		d := &fakeDirectory{
			gateways:   map[string]*gateway{},
			announced:  map[string][]byte{},
			registered: map[string][]string{},
		}
		var all []*gateway
		for name := range strings.FieldsSeq(names) {
			g := newGateway(t, name, &fakeBroker{Broker: shared, fakeDirectory: d})
			d.gateways[g.id.String()] = g
			hubs.all, all = append(hubs.all, g.hub), append(all, g)
			group.Go(func() { _ = g.clients.Run(ctx) })
			group.Go(func() { _ = g.Run(ctx) })
		}
		synctest.Wait()
		do(t, all)
		cancel()
		group.Wait()
	})
}

// newGateway returns a gateway that does not run yet.
func newGateway(t *testing.T, name string, b *fakeBroker) *gateway {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	g := &gateway{t: t, id: registry.NewGatewayID(), broker: b}
	b.gatewayID = g.id.String()
	g.hub = hub.New(hub.Options{
		Broker:           b,
		Logger:           log,
		UnsubscribeDelay: time.Second,
		Rules: channel.Rules{
			{Pattern: "kept:*", History: channel.History{Size: 10, TTL: channel.Duration(time.Minute)}},
			{Pattern: "seen:*", Presence: true},
		},
	})
	g.clients = registry.New[protocol.Client](registry.Options[protocol.Client]{Directory: b, Logger: log})
	g.Dispatcher = control.New(control.Options{
		GatewayID: g.id,
		Name:      name,
		Version:   "v1",
		Broker:    b,
		Hub:       g.hub,
		Clients:   g.clients,
		Serving:   func() bool { return !g.draining.Load() },
		// Load balancers take as long to notice a gateway.
		PropagationDelay: 10 * time.Second,
		Published:        func(time.Duration, error) {},
		Logger:           log,
	})
	return g
}

// fakeConn is a connection that cannot carry anything.
type fakeConn struct {
	transport.Conn
	id     uuid.UUID
	opened time.Time
}

func (c *fakeConn) ID() string           { return c.id.String() }
func (c *fakeConn) UUID() uuid.UUID      { return c.id }
func (c *fakeConn) RemoteIP() netip.Addr { return netip.MustParseAddr("192.0.2.1") }
func (c *fakeConn) OpenedAt() time.Time  { return c.opened }
func (c *fakeConn) QueuedBytes() int     { return 7 }

// fakeClient records its calls.
type fakeClient struct {
	conn     *fakeConn
	user     string
	channels []string
	// subscribeError is the error of Subscribe.
	subscribeError error
	// refuses makes Message return false.
	refuses bool

	// mu guards recorded.
	mu       sync.Mutex
	recorded []string
}

var _ protocol.Client = (*fakeClient)(nil)

func (c *fakeClient) Conn() transport.Conn { return c.conn }
func (c *fakeClient) User() string         { return c.user }
func (c *fakeClient) Protocol() string     { return "json" }

func (c *fakeClient) Channels() []string { return slices.Clone(c.channels) }

func (c *fakeClient) record(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorded = append(c.recorded, fmt.Sprintf(format, args...))
}

// calls returns the calls since it was last called.
func (c *fakeClient) calls() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	recorded := strings.Join(c.recorded, "; ")
	c.recorded = nil
	return recorded
}

func (c *fakeClient) Subscribe(_ context.Context, s protocol.Subscription) error {
	c.record("subscribe %s info=%s data=%s until=%d since=%v", s.Channel, s.Info, s.Data.Bytes, seconds(s.ExpireAt),
		s.Since)
	return c.subscribeError
}

func (c *fakeClient) Unsubscribe(channel string) bool {
	c.record("unsubscribe %s", channel)
	return true
}

func (c *fakeClient) Message(data []byte, binary bool) bool {
	c.record("message %q binary=%t", data, binary)
	return !c.refuses
}

func (c *fakeClient) Disconnect(code int, reason string) { c.record("disconnect %d %s", code, reason) }

func (c *fakeClient) Replace() { c.record("replace") }

func (c *fakeClient) Replaceable() bool { return true }

func (c *fakeClient) Refresh(_ context.Context, r protocol.Refresh) error {
	c.record("refresh until=%d expired=%t info=%s", seconds(r.ExpireAt), r.Expired, r.Info)
	return nil
}

// seconds returns t in seconds since 1970, and 0 for the zero time.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// connect adds a client that is subscribed to channels.
func (g *gateway) connect(user string, channels ...string) *fakeClient {
	g.t.Helper()
	c := &fakeClient{
		conn:     &fakeConn{id: g.id.NewID(), opened: time.Now()},
		user:     user,
		channels: channels,
	}
	require.NoError(g.t, g.clients.Add(g.t.Context(), c.conn.id, user, c))
	return c
}
