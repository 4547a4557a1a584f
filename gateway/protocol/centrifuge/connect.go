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

// connect carries out the connect command: it identifies the client, registers it, makes its server-side subscriptions,
// and answers.
func (c *client) connect(ctx context.Context, id uint32, r *cf.ConnectRequest, out *replies) error {
	failed, err := c.tryConnect(ctx, id, r, out)
	switch {
	case failed == nil, ctx.Err() != nil:
	case errors.Is(failed, session.ErrExpiredToken), errors.Is(failed, registry.ErrTooManyConnections):
		// SDKs come back with another token at once, and a user's own connections are no fault of the gateway's.
	default:
		c.centrifuge.options.ConnectFailed()
	}
	return err
}

// tryConnect is connect. failed is why the client is not connected. Where err is nil as well, it may try again.
func (c *client) tryConnect(
	ctx context.Context, id uint32, r *cf.ConnectRequest, out *replies,
) (failed, err error) {
	// What is asked now has times of its own.
	c.Conn().CloseAfter(0, transport.Close{})
	identity, err := c.identify(ctx, r)
	if err != nil {
		// Each refusal halves the time for another try: a client must not stay by trying again and again.
		left := max(c.centrifuge.options.ConnectTimeout>>c.refusals, time.Millisecond)
		c.Conn().CloseAfter(left, disconnectStale())
		c.refusals++
		return err, c.refuse(id, err, out)
	}
	c.Session.Bind(c.Conn().UUID(), identity)
	// From here on the server API may send the client something.
	c.preConnect.Store(&preConnectBuffer{maxBytes: c.centrifuge.options.Session.MaxHistoryBytes})
	if err := c.register(ctx, identity); err != nil {
		return err, err
	}
	c.handshake = nil
	result, err := c.connectResult(ctx, r, identity)
	if err != nil {
		return err, err
	}
	if err := out.add(&cf.Reply{Id: id, Connect: result}); err != nil {
		return err, err
	}
	out.queue()
	// The answer may hold all that the client missed: let the client read it before the frames that were held back.
	if err := c.waitWritable(ctx); err != nil {
		return nil, err
	}
	c.releasePreConnect()
	c.Conn().Flush()
	c.Conn().StartHeartbeat(c.heartbeat())
	return nil, nil
}

// heartbeat returns how the gateway finds out that the client is gone.
func (c *client) heartbeat() *transport.Heartbeat {
	if c.framePings {
		return c.centrifuge.framePings
	}
	return c.encoding.heartbeat
}

// connectResult makes the client's server-side subscriptions and returns the answer to its connect command.
func (c *client) connectResult(
	ctx context.Context, r *cf.ConnectRequest, identity session.Identity,
) (result *cf.ConnectResult, err error) {
	o := &c.centrifuge.options
	result = &cf.ConnectResult{
		Client:  c.Conn().ID(),
		Version: o.Version,
		Node:    o.Node,
	}
	if !c.framePings {
		result.Ping, result.Pong = uint32(math.Ceil(o.PingInterval.Seconds())), true
	}
	if result.Data, err = c.payload(identity.Data); err != nil {
		return nil, err
	}
	if identity.Claims == nil {
		return result, nil
	}
	if identity.HasToken() || c.AsksToRefresh() {
		result.Expires, result.Ttl = c.scheduleExpiry(identity.Claims.ExpiresAt) //nolint:contextcheck // later than ctx
	} else {
		// An SDK without a token would give up when it is told of an end. This way it comes back, and the connect hook is
		// asked again.
		c.CloseAt(identity.Claims.ExpiresAt, 0, disconnectExpired())
	}
	return result, c.subscribeServerSide(ctx, identity.Claims.Channels, r.Subs, result)
}

// identify finds out the client's identity. Its errors are those of session.Options.Identify.
func (c *client) identify(ctx context.Context, r *cf.ConnectRequest) (session.Identity, error) {
	request := session.ConnectRequest{
		Client:  hooks.Client{ID: c.Conn().ID(), Protocol: c.Protocol()},
		Token:   r.Token,
		Name:    r.Name,
		Version: r.Version,
		Data:    hooks.Payload{Bytes: r.Data, Binary: c.encoding.isBinary(r.Data)},
	}
	for channel := range r.Subs {
		request.Channels = append(request.Channels, channel)
	}
	slices.Sort(request.Channels)
	if c.handshake != nil {
		request.Header = c.handshake.header
		if request.Token == "" {
			request.Token = c.handshake.token
		}
	}
	request.Header = withHeaders(request.Header, r.Headers)
	return c.centrifuge.options.Session.Identify(ctx, request)
}

// withHeaders adds the headers of the connect command to those of the handshake: a browser's page cannot set headers.
// It changes neither the Origin nor anything that the handshake, or a proxy in it, has set.
func withHeaders(handshake http.Header, command map[string]string) http.Header {
	if len(command) == 0 {
		return handshake
	}
	merged := handshake.Clone()
	if merged == nil {
		merged = http.Header{}
	}
	for name, value := range command {
		if name := http.CanonicalHeaderKey(name); name != "Origin" && len(merged[name]) == 0 {
			merged.Set(name, value)
		}
	}
	return merged
}

// register registers the client, so that the server API finds it. An error closes the connection, because the server
// API may have found the client already, and subscribed it.
func (c *client) register(ctx context.Context, identity session.Identity) error {
	err := c.Join(ctx, c, identity)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, session.ErrInvalidToken):
		return &closeError{disconnectInvalidToken(), err}
	case errors.Is(err, registry.ErrTooManyConnections):
		return &closeError{disconnectConnectionLimit(), err}
	}
	return &closeError{disconnectServerError(), err}
}

// refuse answers a connect command that failed. SDKs get a new token after an expired one, try again after a temporary
// error, and give up after any other.
func (c *client) refuse(id uint32, err error, out *replies) error {
	switch {
	case errors.Is(err, session.ErrInvalidToken):
		return &closeError{disconnectInvalidToken(), err}
	case disconnects(err):
		return err
	}
	return c.fail(id, err, out)
}

// maxRecoveredFactor bounds what the answer to connect holds of what the client missed, as a multiple of
// Session.MaxHistoryBytes: it is one answer for all channels.
const maxRecoveredFactor = 8

// subscribeServerSide makes the server-side subscriptions of the client's identity and adds them to the result of its
// connect command. known are those that the client had before. When the result is full, the other channels are not
// recovered. An error is a *closeError.
func (c *client) subscribeServerSide(
	ctx context.Context, channels []string, known map[string]*cf.SubscribeRequest, result *cf.ConnectResult,
) error {
	if len(channels) == 0 {
		return nil
	}
	limit := maxRecoveredFactor * c.centrifuge.options.Session.MaxHistoryBytes
	bytes := 0
	result.Subs = make(map[string]*cf.SubscribeResult, len(channels))
	for _, channel := range slices.Compact(slices.Sorted(slices.Values(channels))) {
		request := c.identityRequest(channel)
		before := known[channel]
		recovering := before != nil && before.Recover
		if recovering && (limit == 0 || bytes < limit) {
			request.Since = &broker.Position{Offset: before.Offset, Epoch: before.Epoch}
		}
		var encoded *cf.SubscribeResult
		var failed error
		err := c.Session.Subscribe(ctx, request, func(s session.SubscribeResult) {
			for _, p := range s.Publications {
				bytes += broker.Size(p)
			}
			encoded, failed = c.subscribeResult(s, recovering)
		})
		if errors.Is(err, session.ErrSubscribed) || errors.Is(err, session.ErrSubscriptionEnded) {
			// The server API made or ended the subscription meanwhile: a push tells the client.
			continue
		}
		if err := errors.Join(err, failed); err != nil {
			return closeForSubscribe(err)
		}
		result.Subs[channel] = encoded
	}
	return nil
}

// closeForSubscribe returns the error that closes a connection whose server-side subscription failed.
func closeForSubscribe(err error) error {
	switch {
	case errors.Is(err, session.ErrTooManyChannels):
		return &closeError{disconnectChannelLimit(), err}
	case errors.Is(err, session.ErrChannelName):
		return &closeError{disconnectInvalidToken(), err}
	}
	return &closeError{disconnectServerError(), err}
}

// scheduleExpiry closes the connection session.ExpiryGrace after its token expired, unless it brings a new one, and
// returns what the client learns about it: ttl is in seconds. Where the backend is asked to refresh connections the
// client learns nothing.
func (c *client) scheduleExpiry(at time.Time) (expires bool, ttl uint32) {
	c.Expire(c, at, session.ExpiryGrace, disconnectExpired())
	if c.AsksToRefresh() {
		return false, 0
	}
	return expiresIn(at)
}

// expiresIn reports whether there is an end, and in how many seconds. It is at least one, because 0 means none to
// clients.
func expiresIn(at time.Time) (expires bool, ttl uint32) {
	if at.IsZero() {
		return false, 0
	}
	return true, uint32(min(max(math.Ceil(time.Until(at).Seconds()), 1), math.MaxInt32))
}

// refresh carries out the refresh command: it takes the connection's new token, and tells the client which
// subscriptions end and begin. SDKs come back after the close code for a token that has expired, and would give up
// after an error. After a temporary one, which a broker that is away causes, they refresh again.
func (c *client) refresh(ctx context.Context, r *cf.RefreshRequest) (*cf.RefreshResult, error) {
	if r.Token == "" {
		return nil, errNoToken
	}
	refreshed, err := c.Session.Refresh(ctx, r.Token)
	switch {
	case errors.Is(err, session.ErrInvalidToken):
		return nil, &closeError{disconnectInvalidToken(), err}
	case errors.Is(err, session.ErrExpiredToken):
		return nil, &closeError{disconnectExpired(), err}
	case err != nil:
		return nil, err
	}
	result := &cf.RefreshResult{Client: c.Conn().ID(), Version: c.centrifuge.options.Version}
	result.Expires, result.Ttl = c.scheduleExpiry(refreshed.ExpiresAt) //nolint:contextcheck // later than ctx
	for _, channel := range refreshed.Ended {
		c.pushUnsubscribe(channel, unsubscribeServer, "the new token does not allow the channel")
	}
	return result, c.subscribeMissing(ctx, refreshed.Missing)
}

var _ protocol.Client = (*client)(nil)
