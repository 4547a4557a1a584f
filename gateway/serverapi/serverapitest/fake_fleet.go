// Package serverapitest is for tests of the server API and of its callers: a Backend of one process's
// memory, and a client's transport that holds every call against the API's description.
package serverapitest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Epoch is that of all streams of a Backend.
const Epoch = "epoch-1"

// FakeFleet keeps publications of channels that begin with "kept:" and remembers what it was asked for.
type FakeFleet struct {
	// Fail returns the error of a call, by its name as in the interface and its channel; nil is none.
	Fail func(call, channel string) error
	// Clients are who is connected.
	Clients []serverapi.Connection

	mu      sync.Mutex
	calls   []string
	streams map[string][]broker.Publication
	results map[string]broker.PublishResult
}

// NewFakeFleet returns one with two connections of the user "42", c1 and c2, in the channel "kept:news".
func NewFakeFleet() *FakeFleet {
	one := serverapi.Connection{
		ID: "c1", User: "42", Protocol: "centrifuge", RemoteIP: "192.0.2.1", ConnectedAt: time.Unix(1800000000, 0).UTC(),
		QueuedBytes: 7, Channels: []string{"kept:news"}, Node: "gateway-0",
	}
	two := one
	two.ID, two.Protocol, two.Channels = "c2", "plain", nil
	return &FakeFleet{Clients: []serverapi.Connection{one, two}, streams: map[string][]broker.Publication{}, results: map[string]broker.PublishResult{}}
}

// Calls are what was asked for since the last time, in order.
func (b *FakeFleet) Calls() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	calls := b.calls
	b.calls = nil
	return calls
}

// begin remembers a call and returns the error it shall have.
func (b *FakeFleet) begin(ctx context.Context, call, channel, format string, args ...any) error {
	b.mu.Lock()
	b.calls = append(b.calls, call+" "+fmt.Sprintf(format, args...))
	b.mu.Unlock()
	if b.Fail != nil {
		if err := b.Fail(call, channel); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Publish keeps a publication where channels are kept.
func (b *FakeFleet) Publish(ctx context.Context, channel string, p broker.Publication, o serverapi.PublishOptions) (broker.PublishResult, error) {
	if err := b.begin(ctx, "Publish", channel, "%s %q binary=%t tags=%v %+v", channel, p.Data, p.Binary, p.Tags, o); err != nil {
		return broker.PublishResult{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	id := channel + " " + o.IdempotencyKey
	if known, ok := b.results[id]; ok && o.IdempotencyKey != "" {
		known.Repeated = true
		return known, nil
	}
	result := broker.PublishResult{}
	if kept(channel) && !o.SkipHistory {
		result.Position = broker.Position{Offset: uint64(len(b.streams[channel]) + 1), Epoch: Epoch}
		p.Position = result.Position
		b.streams[channel] = append(b.streams[channel], p)
	}
	b.results[id] = result
	return result, nil
}

// Keep adds a publication as a client makes it.
func (b *FakeFleet) Keep(channel string, p broker.Publication) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p.Position = broker.Position{Offset: uint64(len(b.streams[channel]) + 1), Epoch: Epoch}
	b.streams[channel] = append(b.streams[channel], p)
}

func kept(name string) bool { return channel.Matches("kept:*", name) }

// History reads forward from Since, and ignores Reverse.
func (b *FakeFleet) History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	since := broker.Position{}
	if q.Since != nil {
		since = *q.Since
	}
	if err := b.begin(ctx, "History", channel, "%s limit=%d since=%+v reverse=%t", channel, q.Limit, since, q.Reverse); err != nil {
		return broker.Stream{}, err
	}
	if !kept(channel) {
		return broker.Stream{}, fmt.Errorf("%w: the rule of this channel keeps no history", serverapi.ErrNotAvailable)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.streams[channel]
	stream := broker.Stream{Top: broker.Position{Offset: uint64(len(all)), Epoch: Epoch}}
	if since.Epoch == "" || since.Epoch == Epoch {
		rest := all[min(int(since.Offset), len(all)):]
		stream.Publications = slices.Clone(rest[:min(q.Limit, len(rest))])
	}
	return stream, nil
}

// RemoveHistory forgets a stream.
func (b *FakeFleet) RemoveHistory(ctx context.Context, channel string) error {
	err := b.begin(ctx, "RemoveHistory", channel, "%s", channel)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, channel)
	return err
}

// Presence is the same in every channel: c1 with information, c2 without.
func (b *FakeFleet) Presence(ctx context.Context, channel string) (map[string]broker.ClientInfo, error) {
	return map[string]broker.ClientInfo{
		"c1": {Client: "c1", User: "42", ConnInfo: []byte(`{"name": "Ada"}`), ChanInfo: []byte(`1`)},
		"c2": {Client: "c2"},
	}, b.begin(ctx, "Presence", channel, "%s", channel)
}

// PresenceStats are those of Presence.
func (b *FakeFleet) PresenceStats(ctx context.Context, channel string) (clients, users int, err error) {
	return 2, 1, b.begin(ctx, "PresenceStats", channel, "%s", channel)
}

// Channels are those with a stream, each with two subscribers.
func (b *FakeFleet) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	if err := b.begin(ctx, "Channels", "", "%s", pattern); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	found := map[string]int{}
	for name := range maps.Keys(b.streams) {
		if channel.Matches(pattern, name) {
			found[name] = 2
		}
	}
	return found, nil
}

// Gateways is one.
func (b *FakeFleet) Gateways(ctx context.Context) ([]serverapi.GatewayInfo, error) {
	return []serverapi.GatewayInfo{{
		UID: "i-1", Name: "gateway-0", Version: "v1.0.0", Clients: 2, Users: 1, Channels: 3, Uptime: 90 * time.Second,
	}}, b.begin(ctx, "Gateways", "", "")
}

// Subscribe is remembered.
func (b *FakeFleet) Subscribe(ctx context.Context, t serverapi.Target, channel string, o serverapi.SubscribeOptions) error {
	since := broker.Position{}
	if o.RecoverSince != nil {
		since = *o.RecoverSince
	}
	return b.toClients(ctx, t, "Subscribe", channel, "%s info=%s until=%d since=%+v", channel, o.Info, seconds(o.ExpireAt), since)
}

// Unsubscribe is remembered.
func (b *FakeFleet) Unsubscribe(ctx context.Context, t serverapi.Target, channel string) error {
	return b.toClients(ctx, t, "Unsubscribe", channel, "%s", channel)
}

// Disconnect is remembered.
func (b *FakeFleet) Disconnect(ctx context.Context, t serverapi.Target, d serverapi.Disconnect, o serverapi.DisconnectOptions) error {
	return b.toClients(ctx, t, "Disconnect", "", "%d %q whitelist=%v revoke=%t", d.Code, d.Reason, o.Whitelist, o.Revoke)
}

// Refresh is remembered.
func (b *FakeFleet) Refresh(ctx context.Context, t serverapi.Target, o serverapi.RefreshOptions) error {
	return b.toClients(ctx, t, "Refresh", "", "until=%d expired=%t", seconds(o.ExpireAt), o.Expired)
}

// Send reaches whom the target means.
func (b *FakeFleet) Send(ctx context.Context, t serverapi.Target, data []byte, binary bool) (int, error) {
	err := b.toClients(ctx, t, "Send", "", "%q binary=%t", data, binary)
	return len(b.meant(t)), err
}

// toClients remembers a call; one connection must exist.
func (b *FakeFleet) toClients(ctx context.Context, t serverapi.Target, call, channel, format string, args ...any) error {
	err := b.begin(ctx, call, channel, "%s/%s "+format, append([]any{t.User, t.Client}, args...)...)
	if err == nil && t.Client != "" && len(b.meant(t)) == 0 {
		return serverapi.ErrUnknownConnection
	}
	return err
}

func (b *FakeFleet) meant(t serverapi.Target) (found []serverapi.Connection) {
	for _, c := range b.Clients {
		if (t.User == "" || c.User == t.User) && (t.Client == "" || c.ID == t.Client) {
			found = append(found, c)
		}
	}
	return found
}

// Connections are a user's; a channel has all.
func (b *FakeFleet) Connections(ctx context.Context, q serverapi.ConnectionQuery) ([]serverapi.Connection, error) {
	found := b.meant(serverapi.Target{User: q.User})
	return found[:min(q.Limit, len(found))], b.begin(ctx, "Connections", q.Channel, "%+v", q)
}

// Connection is one of Clients.
func (b *FakeFleet) Connection(ctx context.Context, id string) (*serverapi.Connection, error) {
	if err := b.begin(ctx, "Connection", "", "%s", id); err != nil {
		return nil, err
	}
	if found := b.meant(serverapi.Target{Client: id}); len(found) == 1 {
		return &found[0], nil
	}
	return nil, serverapi.ErrUnknownConnection
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// CheckChannel is a stand-in for the gateway's.
func CheckChannel(name string) error {
	if name == "" || len(name) > 255 {
		return errors.New("name must be 1 to 255 bytes")
	}
	return nil
}
