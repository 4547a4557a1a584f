package centrifuge

import (
	"context"
	"errors"
	"math"
	"net/http"
	"slices"
	"time"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// connect lets a client in: who it is, its server-side subscriptions, then the answer.
func (c *client) connect(ctx context.Context, id uint32, r *cf.ConnectRequest) error {
	client := c.conn.ID()
	who, err := c.identify(ctx, client, r)
	if err != nil {
		return c.refuse(id, err)
	}
	c.session.Bind(c.conn.UUID(), who)
	// From here on others may have something for it.
	c.early.Store(&early{most: c.centrifuge.options.Session.MaxHistoryBytes})
	if err := c.register(ctx, who); err != nil {
		return err
	}
	c.hello = nil
	c.conn.CloseAfter(0, transport.Close{})
	o := c.centrifuge.options
	result := &cf.ConnectResult{
		Client: client, Version: o.Version, Node: o.Node,
		Ping: uint32(math.Ceil(o.PingInterval.Seconds())), Pong: true,
	}
	if result.Data, err = c.payload(who.Data); err != nil {
		return err
	}
	if who.Claims != nil {
		result.Expires, result.Ttl = c.expire(who.Claims.ExpiresAt)
		if err := c.subscribeAll(ctx, who.Claims.Channels, r.Subs, result); err != nil {
			return err
		}
	}
	if err := c.reply(&cf.Reply{Id: id, Connect: result}); err != nil {
		return err
	}
	c.queue()
	// What waits for it comes behind an answer that may hold all it has missed.
	if err := c.room(ctx); err != nil {
		return err
	}
	c.release()
	c.conn.Flush()
	c.conn.StartHeartbeat(c.encoding.heartbeat)
	return nil
}

// identify finds out who the client is.
func (c *client) identify(ctx context.Context, client string, r *cf.ConnectRequest) (session.Identity, error) {
	p := session.ConnectRequest{
		Client: hooks.Client{ID: client, Protocol: string(c.encoding.protocol)},
		Token:  r.Token, Name: r.Name, Version: r.Version, Data: hooks.Payload{Bytes: r.Data, Binary: c.encoding.isBinary(r.Data)},
	}
	for channel := range r.Subs {
		p.Channels = append(p.Channels, channel)
	}
	slices.Sort(p.Channels)
	if c.hello != nil {
		p.Header = c.hello.header
		if p.Token == "" {
			p.Token = c.hello.token
		}
	}
	if len(r.Headers) > 0 {
		// A browser cannot set headers, so its page says them here.
		p.Header = p.Header.Clone()
		if p.Header == nil {
			p.Header = http.Header{}
		}
		for name, value := range r.Headers {
			// What the handshake said, or a proxy in it, is not the page's to change.
			if name := http.CanonicalHeaderKey(name); name != "Origin" && len(p.Header[name]) == 0 {
				p.Header.Set(name, value)
			}
		}
	}
	return c.centrifuge.options.Session.Identify(ctx, p)
}

// register makes the client one that others can find. When that fails the connection ends: somebody may
// have found it already, and given it a channel.
func (c *client) register(ctx context.Context, who session.Identity) error {
	err := c.centrifuge.options.Joined(ctx, c)
	if err == nil {
		// It joined, and leaves when it is closed.
		c.connected = true
		err = c.centrifuge.options.Session.CheckNotRevoked(ctx, who)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrInvalidToken):
		return &farewell{disconnectInvalidToken(), err}
	case errors.Is(err, registry.ErrTooManyConnections):
		return &farewell{disconnectConnectionLimit(), err}
	}
	return &farewell{disconnectServerError(), err}
}

// refuse answers a connect that failed. SDKs get a new token after an expired one, try again after
// what is temporary, and give up after the rest.
func (c *client) refuse(id uint32, err error) error {
	switch {
	case errors.Is(err, session.ErrInvalidToken):
		return &farewell{disconnectInvalidToken(), err}
	case disconnects(err):
		return err
	}
	return c.fail(id, err)
}

// mostAnswered is how much of what a client missed the answer to connect may hold, in max-queued-bytes:
// all of it is one answer, and there may be many channels.
const mostAnswered = 8

// subscribeAll gives the client its server-side subscriptions. What one of them has for it waits for
// the answer. When that is full, the rest are not recovered.
func (c *client) subscribeAll(ctx context.Context, channels []string, known map[string]*cf.SubscribeRequest, result *cf.ConnectResult) error {
	if len(channels) == 0 {
		return nil
	}
	limit := mostAnswered * c.centrifuge.options.Session.MaxHistoryBytes
	answered := 0
	result.Subs = make(map[string]*cf.SubscribeResult, len(channels))
	for _, channel := range slices.Compact(slices.Sorted(slices.Values(channels))) {
		wish := session.SubscribeRequest{Channel: channel, Subscriber: c, ServerSide: true, JoinLeave: true}
		before := known[channel]
		recovering := before != nil && before.Recover
		if recovering && (limit == 0 || answered < limit) {
			wish.Since = &broker.Position{Offset: before.Offset, Epoch: before.Epoch}
		}
		var encoded *cf.SubscribeResult
		var failed error
		err := c.session.Subscribe(ctx, wish, func(s session.SubscribeResult) {
			for _, p := range s.Publications {
				answered += broker.Size(p)
			}
			encoded, failed = c.subscribed(s, recovering)
		})
		if errors.Is(err, session.ErrSubscribed) || errors.Is(err, session.ErrSubscriptionEnded) {
			// The backend was faster to give it the channel, or has taken it back: the client is told of that.
			continue
		}
		if err := errors.Join(err, failed); err != nil {
			return c.subscribeFailed(err)
		}
		result.Subs[channel] = encoded
	}
	return nil
}

// subscribeFailed ends a connection that cannot have what it was given.
func (c *client) subscribeFailed(err error) error {
	switch {
	case errors.Is(err, session.ErrTooManyChannels):
		return &farewell{disconnectChannelLimit(), err}
	case errors.Is(err, session.ErrChannelName):
		return &farewell{disconnectInvalidToken(), err}
	}
	return &farewell{disconnectServerError(), err}
}

// expire ends the connection some time after its token, unless it brings a new one. ttl is in seconds.
func (c *client) expire(at time.Time) (expires bool, ttl uint32) {
	if at.IsZero() {
		c.conn.CloseAfter(0, transport.Close{})
		return false, 0
	}
	c.conn.CloseAfter(max(time.Until(at), 0)+session.ExpiryGrace, disconnectExpired())
	return lasting(at)
}

// lasting is whether there is an end, and in how many seconds.
func lasting(at time.Time) (expires bool, ttl uint32) {
	if at.IsZero() {
		return false, 0
	}
	return true, seconds(time.Until(at))
}

// seconds is a time left, as clients are told: at least one, since 0 is none to them.
func seconds(left time.Duration) uint32 {
	return uint32(min(max(math.Ceil(left.Seconds()), 1), math.MaxInt32))
}

// refresh takes the connection's new token.
func (c *client) refresh(ctx context.Context, r *cf.RefreshRequest) (*cf.RefreshResult, error) {
	if r.Token == "" {
		return nil, errNoToken
	}
	at, err := c.session.Refresh(ctx, r.Token)
	if errors.Is(err, session.ErrInvalidToken) {
		return nil, &farewell{disconnectInvalidToken(), err}
	}
	if err != nil {
		return nil, err
	}
	result := &cf.RefreshResult{Client: c.conn.ID(), Version: c.centrifuge.options.Version}
	result.Expires, result.Ttl = c.expire(at)
	return result, nil
}

var _ protocol.Client = (*client)(nil)
