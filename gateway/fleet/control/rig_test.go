package control_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
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

// directory is what gateways share besides streams and presence.
type directory struct {
	mu       sync.Mutex
	gateways map[string]*gateway
	about    map[string][]byte
	holders  map[string][]string
}

// node is the broker of one gateway: streams and presence are those of one memory, which all share.
type node struct {
	*memory.Broker
	*directory
	instance string
}

// Announce implements broker.Directory.
func (n *node) Announce(_ context.Context, about []byte, _ time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.about[n.instance] = about
	return nil
}

// Withdraw implements broker.Directory.
func (n *node) Withdraw(context.Context) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.about, n.instance)
	return nil
}

// Gateways implements broker.Directory.
func (n *node) Gateways(context.Context) (map[string][]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	out := map[string][]byte{}
	for instance, about := range n.about {
		out[instance] = about
	}
	return out, nil
}

// Send implements broker.Directory.
func (n *node) Send(_ context.Context, instance string, message []byte) (bool, error) {
	n.mu.Lock()
	to := n.gateways[instance]
	n.mu.Unlock()
	if to == nil || to.killed {
		return false, nil
	}
	if !to.silent {
		to.OnMessage(message)
	}
	return true, nil
}

// Register implements broker.Directory.
func (n *node) Register(_ context.Context, users []string, _ time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, user := range users {
		if !slices.Contains(n.holders[user], n.instance) {
			n.holders[user] = append(n.holders[user], n.instance)
		}
	}
	return nil
}

// Deregister implements broker.Directory.
func (n *node) Deregister(_ context.Context, users []string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, user := range users {
		n.holders[user] = slices.DeleteFunc(n.holders[user], func(i string) bool { return i == n.instance })
	}
	return nil
}

// Lookup implements broker.Directory.
func (n *node) Lookup(_ context.Context, user string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.holders[user]), nil
}

// gateway is a backend with what it needs.
type gateway struct {
	*control.Backend
	t        *testing.T
	instance registry.GatewayID
	clients  *control.Clients
	hub      *hub.Hub
	node     *node
	// killed is not there any more, silent is there and does nothing.
	killed, silent bool
}

var errDown = errors.New("down")

// hubs hands publications to the hubs of all gateways.
type hubs struct{ all []*hub.Hub }

func (hs *hubs) Deliver(channel string, p broker.Publication) {
	for _, h := range hs.all {
		h.Deliver(channel, p)
	}
}

func (*hubs) Resumed(string) {}

// fleet runs gateways of the names in a bubble of its own.
func fleet(t *testing.T, names string, do func(t *testing.T, gateways []*gateway)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		hubs := &hubs{}
		shared := memory.New(memory.Options{})
		brokertest.Connect(shared, hubs)
		d := &directory{gateways: map[string]*gateway{}, about: map[string][]byte{}, holders: map[string][]string{}}
		var all []*gateway
		for name := range strings.FieldsSeq(names) {
			g := newGateway(t, name, &node{Broker: shared, directory: d})
			d.gateways[g.instance.String()] = g
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

func newGateway(t *testing.T, name string, n *node) *gateway {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	g := &gateway{t: t, instance: registry.NewGatewayID(), node: n}
	n.instance = g.instance.String()
	g.hub = hub.New(hub.Options{Broker: n, Logger: log, UnsubscribeDelay: time.Second, Rules: channel.Rules{
		{Pattern: "kept:*", History: channel.History{Size: 10, TTL: channel.Duration(time.Minute)}}, {Pattern: "seen:*", Presence: true},
	}})
	g.clients = registry.New[protocol.Client](registry.Options{Directory: n, Logger: log})
	g.Backend = control.New(control.Options{
		Instance: g.instance, Node: name, Version: "v1", Broker: n, Hub: g.hub, Clients: g.clients, Published: func(time.Duration, error) {}, Logger: log,
	})
	return g
}

// conn is a connection that only has a name.
type conn struct {
	transport.Conn
	id     uuid.UUID
	opened time.Time
}

func (c *conn) ID() string           { return c.id.String() }
func (c *conn) UUID() uuid.UUID      { return c.id }
func (c *conn) RemoteIP() netip.Addr { return netip.MustParseAddr("192.0.2.1") }
func (c *conn) OpenedAt() time.Time  { return c.opened }
func (c *conn) QueuedBytes() int     { return 7 }

// client writes down what it was told to do.
type client struct {
	conn *conn
	user string
	// fails is the error of a subscription, deaf a client that takes no messages.
	fails error
	deaf  bool

	mu       sync.Mutex
	channels []string
	did      []string
}

var _ protocol.Client = (*client)(nil)

func (c *client) Conn() transport.Conn { return c.conn }
func (c *client) User() string         { return c.user }
func (c *client) Protocol() string     { return "json" }

func (c *client) Channels() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.channels)
}

func (c *client) note(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.did = append(c.did, fmt.Sprintf(format, args...))
}

func (c *client) done() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	did := strings.Join(c.did, "; ")
	c.did = nil
	return did
}

func (c *client) Subscribe(_ context.Context, s protocol.Subscription) error {
	c.note("subscribe %s info=%s until=%d since=%v", s.Channel, s.Info, seconds(s.ExpireAt), s.Since)
	return c.fails
}

func (c *client) Unsubscribe(channel string) bool {
	c.note("unsubscribe %s", channel)
	return true
}

func (c *client) Message(data []byte, binary bool) bool {
	c.note("message %q binary=%t", data, binary)
	return !c.deaf
}

func (c *client) Disconnect(code int, reason string) { c.note("disconnect %d %s", code, reason) }

func (c *client) Refresh(expireAt time.Time, expired bool) {
	c.note("refresh until=%d expired=%t", seconds(expireAt), expired)
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// connect adds a client with some channels.
func (g *gateway) connect(user string, channels ...string) *client {
	g.t.Helper()
	c := &client{conn: &conn{id: g.instance.NewID(), opened: time.Now()}, user: user, channels: channels}
	require.NoError(g.t, g.clients.Add(g.t.Context(), c.conn.id, user, c))
	return c
}
