// Package serverapitest helps to test the server API and its callers. FakeFleet is a serverapi.Fleet in memory.
// Description is the API's OpenAPI document and an http.RoundTripper that checks every call against it.
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

// Epoch is the epoch of all streams of a FakeFleet.
const Epoch = "epoch-1"

// FakeFleet records its calls and stores the publications of channels that begin with "kept:".
type FakeFleet struct {
	// Fail, if not nil, returns the error of a call of a method of serverapi.Fleet with a channel, which may be empty.
	Fail func(call, channel string) error
	// Clients are the connections.
	Clients []serverapi.Connection

	// mu guards the fields below.
	mu      sync.Mutex
	calls   []string
	streams map[string][]broker.Publication
	results map[string]broker.PublishResult
}

// NewFakeFleet returns a FakeFleet with two connections of the user "42": c1, which has subscribed to "kept:news", and
// c2.
func NewFakeFleet() *FakeFleet {
	one := serverapi.Connection{
		ID:          "c1",
		User:        "42",
		Protocol:    "centrifuge",
		RemoteIP:    "192.0.2.1",
		ConnectedAt: time.Unix(1800000000, 0).UTC(),
		QueuedBytes: 7,
		Channels:    []string{"kept:news"},
		Node:        "gateway-0",
	}
	two := one
	two.ID, two.Protocol, two.Channels = "c2", "plain", nil
	return &FakeFleet{
		Clients: []serverapi.Connection{one, two},
		streams: map[string][]broker.Publication{},
		results: map[string]broker.PublishResult{},
	}
}

// Calls returns the recorded calls since it was last called, in order.
func (f *FakeFleet) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := f.calls
	f.calls = nil
	return calls
}

// begin records a call and returns the error of Fail or of ctx.
func (f *FakeFleet) begin(ctx context.Context, call, channel, format string, args ...any) error {
	f.mu.Lock()
	f.calls = append(f.calls, call+" "+fmt.Sprintf(format, args...))
	f.mu.Unlock()
	if f.Fail != nil {
		if err := f.Fail(call, channel); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Publish implements serverapi.Fleet. It returns the errors of begin, like all methods.
func (f *FakeFleet) Publish(ctx context.Context, channel string, p broker.Publication,
	o serverapi.PublishOptions) (broker.PublishResult, error) {
	if err := f.begin(ctx, "Publish", channel, "%s %q binary=%t tags=%v %+v", channel, p.Data, p.Binary, p.Tags,
		o); err != nil {
		return broker.PublishResult{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id := channel + " " + o.IdempotencyKey
	if known, ok := f.results[id]; ok && o.IdempotencyKey != "" {
		known.Repeated = true
		return known, nil
	}
	result := broker.PublishResult{}
	if kept(channel) && !o.SkipHistory {
		result.Position = broker.Position{Offset: uint64(len(f.streams[channel]) + 1), Epoch: Epoch}
		p.Position = result.Position
		f.streams[channel] = append(f.streams[channel], p)
	}
	f.results[id] = result
	return result, nil
}

// Keep adds a publication to a stream as if a client had published it.
func (f *FakeFleet) Keep(channel string, p broker.Publication) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p.Position = broker.Position{Offset: uint64(len(f.streams[channel]) + 1), Epoch: Epoch}
	f.streams[channel] = append(f.streams[channel], p)
}

// kept reports whether a channel has history.
func kept(name string) bool { return channel.Matches("kept:*", name) }

// History implements serverapi.Fleet. It ignores Reverse. It returns serverapi.ErrNotAvailable for a channel without
// history.
func (f *FakeFleet) History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	since := broker.Position{}
	if q.Since != nil {
		since = *q.Since
	}
	if err := f.begin(ctx, "History", channel, "%s limit=%d since=%+v reverse=%t", channel, q.Limit, since,
		q.Reverse); err != nil {
		return broker.Stream{}, err
	}
	if !kept(channel) {
		return broker.Stream{}, fmt.Errorf("%w: the rule of this channel keeps no history", serverapi.ErrNotAvailable)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.streams[channel]
	stream := broker.Stream{Top: broker.Position{Offset: uint64(len(all)), Epoch: Epoch}}
	if since.InEpoch(Epoch) {
		rest := all[min(int(since.Offset), len(all)):]
		stream.Publications = slices.Clone(rest[:min(q.Limit, len(rest))])
	}
	return stream, nil
}

// RemoveHistory implements serverapi.Fleet. It returns the errors of begin.
func (f *FakeFleet) RemoveHistory(ctx context.Context, channel string) error {
	err := f.begin(ctx, "RemoveHistory", channel, "%s", channel)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.streams, channel)
	return err
}

// Presence implements serverapi.Fleet. Every channel has c1 with information and c2 without. It returns the errors of
// begin.
func (f *FakeFleet) Presence(ctx context.Context, channel string) (map[string]broker.ClientInfo, error) {
	return map[string]broker.ClientInfo{
		"c1": {Client: "c1", User: "42", ConnInfo: []byte(`{"name": "Ada"}`), ChanInfo: []byte(`1`)},
		"c2": {Client: "c2"},
	}, f.begin(ctx, "Presence", channel, "%s", channel)
}

// PresenceStats implements serverapi.Fleet. It returns the errors of begin.
func (f *FakeFleet) PresenceStats(ctx context.Context, channel string) (clients, users int, err error) {
	return 2, 1, f.begin(ctx, "PresenceStats", channel, "%s", channel)
}

// Channels implements serverapi.Fleet. Every channel with a stream has two subscribers. It returns the errors of begin.
func (f *FakeFleet) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	if err := f.begin(ctx, "Channels", "", "%s", pattern); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	found := map[string]int{}
	for name := range maps.Keys(f.streams) {
		if channel.Matches(pattern, name) {
			found[name] = 2
		}
	}
	return found, nil
}

// Gateways implements serverapi.Fleet. There is one. It returns the errors of begin.
func (f *FakeFleet) Gateways(ctx context.Context) ([]serverapi.GatewayInfo, error) {
	return []serverapi.GatewayInfo{{
		UID:           "i-1",
		Name:          "gateway-0",
		Version:       "v1.0.0",
		Clients:       2,
		Users:         1,
		Channels:      3,
		Subscriptions: 4,
		Uptime:        90 * time.Second,
		Process:       &serverapi.Process{CPU: 12.5, RSS: 1 << 20},
	}}, f.begin(ctx, "Gateways", "", "")
}

// Subscribe implements serverapi.Fleet. It returns the errors of toClients.
func (f *FakeFleet) Subscribe(ctx context.Context, t serverapi.Target, channel string,
	o serverapi.SubscribeOptions) error {
	since := broker.Position{}
	if o.RecoverSince != nil {
		since = *o.RecoverSince
	}
	return f.toClients(ctx, t, "Subscribe", channel, "%s info=%s data=%q binary=%t until=%d since=%+v", channel, o.Info,
		o.Data, o.Binary, seconds(o.ExpireAt), since)
}

// Unsubscribe implements serverapi.Fleet. It returns the errors of toClients.
func (f *FakeFleet) Unsubscribe(ctx context.Context, t serverapi.Target, channel string) error {
	return f.toClients(ctx, t, "Unsubscribe", channel, "%s", channel)
}

// Disconnect implements serverapi.Fleet. It returns the errors of toClients.
func (f *FakeFleet) Disconnect(ctx context.Context, t serverapi.Target, d serverapi.Disconnect,
	o serverapi.DisconnectOptions) error {
	return f.toClients(ctx, t, "Disconnect", "", "%d %q whitelist=%v revoke=%t", d.Code, d.Reason, o.Whitelist, o.Revoke)
}

// Refresh implements serverapi.Fleet. It returns the errors of toClients.
func (f *FakeFleet) Refresh(ctx context.Context, t serverapi.Target, o serverapi.RefreshOptions) error {
	return f.toClients(ctx, t, "Refresh", "", "until=%d expired=%t info=%s", seconds(o.ExpireAt), o.Expired, o.Info)
}

// Send implements serverapi.Fleet. It returns the number of selected connections, and the errors of toClients.
func (f *FakeFleet) Send(ctx context.Context, t serverapi.Target, data []byte, binary bool) (int, error) {
	err := f.toClients(ctx, t, "Send", "", "%q binary=%t", data, binary)
	return len(f.selected(t)), err
}

// toClients records a call. It returns the errors of begin, and serverapi.ErrUnknownConnection when t.Client does not
// exist.
func (f *FakeFleet) toClients(ctx context.Context, t serverapi.Target, call, channel, format string,
	args ...any) error {
	err := f.begin(ctx, call, channel, "%s/%s "+format, append([]any{t.User, t.Client}, args...)...)
	if err == nil && t.Client != "" && len(f.selected(t)) == 0 {
		return serverapi.ErrUnknownConnection
	}
	return err
}

// selected returns the connections that t selects.
func (f *FakeFleet) selected(t serverapi.Target) (found []serverapi.Connection) {
	for _, c := range f.Clients {
		if (t.User == "" || c.User == t.User) && (t.Client == "" || c.ID == t.Client) {
			found = append(found, c)
		}
	}
	return found
}

// Connections implements serverapi.Fleet. All connections are in every channel. It returns the errors of begin.
func (f *FakeFleet) Connections(ctx context.Context, q serverapi.ConnectionQuery) ([]serverapi.Connection, error) {
	found := f.selected(serverapi.Target{User: q.User})
	return found[:min(q.Limit, len(found))], f.begin(ctx, "Connections", q.Channel, "%+v", q)
}

// Connection implements serverapi.Fleet. It returns the errors of begin, or serverapi.ErrUnknownConnection.
func (f *FakeFleet) Connection(ctx context.Context, id string) (*serverapi.Connection, error) {
	if err := f.begin(ctx, "Connection", "", "%s", id); err != nil {
		return nil, err
	}
	if found := f.selected(serverapi.Target{Client: id}); len(found) == 1 {
		return &found[0], nil
	}
	return nil, serverapi.ErrUnknownConnection
}

// seconds returns t in Unix seconds, and 0 for the zero time.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// CheckChannel is a simple serverapi.Options.CheckChannel. It returns an error for a name that is empty or too long.
func CheckChannel(name string) error {
	if name == "" || len(name) > 255 {
		return errors.New("name must be 1 to 255 bytes")
	}
	return nil
}
