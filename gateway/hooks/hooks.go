// Package hooks calls an application's backend over HTTP. A callback decides whether a client may connect, subscribe or
// publish, or returns the result of the client's RPC; the client waits for it. Callbacks have the shapes of
// Centrifugo's proxy, so that backends made for it work. The webhook sends events in signed batches of CloudEvents and
// retries them until the receiver accepts them.
//
// Package session calls the callbacks, and package gateway emits the events.
package hooks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Policy is what happens to a client when the backend is down.
type Policy string

const (
	// Refuse refuses the client. It is the default.
	Refuse Policy = "Refuse"
	// Allow lets the client go on as if there was no hook. An attacker that can take the backend down gets in.
	Allow Policy = "Allow"
)

// The names of the hooks in metrics and logs.
const (
	HookConnect   = "connect"
	HookSubscribe = "subscribe"
	HookPublish   = "publish"
	HookRPC       = "rpc"
	HookRefresh   = "refresh"
	// HookSubRefresh is the refresh of one subscription.
	HookSubRefresh = "sub_refresh"
	// HookWebhook is the name of the webhook. Only BreakerOpen takes it.
	HookWebhook = "webhook"
)

// DefaultTimeout is how long a backend may take to answer a callback.
const DefaultTimeout = time.Second

const (
	// maxInFlight is the maximum number of running calls of one callback.
	maxInFlight            = 512
	maxResponseBytes       = 1 << 20
	maxResponseHeaderBytes = 64 << 10
	dialTimeout            = 5 * time.Second
	userAgent              = "wsfleet-gateway"
)

// Callback configures one callback. It is off when URL is empty.
type Callback struct {
	URL string
	// Timeout is how long the backend may take. 0 means DefaultTimeout.
	Timeout time.Duration
	// WhenDown is the policy when the backend is down. Empty means Refuse, which is the only policy of the rpc callback,
	// because without the backend there is no result, and of the refresh callbacks, whose callers ask again.
	WhenDown Policy
}

// Options configure Hooks.
type Options struct {
	Connect, Subscribe, Publish, RPC, Refresh, SubRefresh Callback
	// Secret signs every request: "whsec_" and a key in base64, as in Standard Webhooks. Several secrets, separated by
	// spaces, make one signature each, so that they can be rotated.
	Secret string
	// ForwardHeaders are the names of headers of the client's handshake that Connect forwards, besides Origin and
	// User-Agent.
	ForwardHeaders []string

	// WebhookURL is where events are sent. The webhook is off when it is empty.
	WebhookURL string
	// WebhookEvents are the names of the kinds to send. Empty means all kinds.
	WebhookEvents []string
	// Cluster and Node are in the source of events: the names of the WebSocketCluster and of the gateway.
	Cluster, Node string

	// Observer may be nil.
	Observer Observer
	// Logger may be nil.
	Logger *slog.Logger

	// dial, if not nil, opens the connections. Tests set it.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Observer counts calls and events. Its methods must not block. Package metrics implements it.
type Observer interface {
	// HookCalled is called after every call of a callback with one of the Outcome constants and the time that it took.
	HookCalled(hook, outcome string, took time.Duration)
	// WebhookDelivered is called for every batch that was sent, with one of the Delivery constants and the number of its
	// events.
	WebhookDelivered(outcome string, events int)
	// WebhookDropped is called for events that are given up without a result, with one of the Drop constants.
	WebhookDropped(reason string, events int)
}

// The outcomes of a callback.
const (
	OutcomeOK = "ok"
	// OutcomeError means that the backend answered with an Error.
	OutcomeError = "error"
	// OutcomeDisconnect means that the backend answered with a Disconnect.
	OutcomeDisconnect = "disconnect"
	// OutcomeDown means that the backend was down and the client was refused.
	OutcomeDown = "down"
	// OutcomeAllowed means that the backend was down and the client went on.
	OutcomeAllowed = "allowed_while_down"
	// OutcomeCanceled means that the client left before the backend answered.
	OutcomeCanceled = "canceled"
)

// The outcomes of a batch of events.
const (
	DeliveryOK = "delivered"
	// DeliveryRejected means that the receiver responded and will never accept the batch.
	DeliveryRejected = "rejected"
	// DeliveryFailed means that all attempts failed.
	DeliveryFailed = "failed"
)

// The reasons why events are dropped.
const (
	DropQueueFull = "queue_full"
	DropShutdown  = "shutdown"
)

// Hooks calls the backend. Run must be running for events to be sent. It is safe for use by many goroutines.
type Hooks struct {
	client                           *http.Client
	forwarded                        []string
	connect, subscribe, publish, rpc *callback
	refresh, subRefresh              *callback
	webhooks                         *webhooks
}

// New returns Hooks, or the error of Check.
func New(o Options) (*Hooks, error) {
	if err := Check(o); err != nil {
		return nil, err
	}
	if o.Observer == nil {
		o.Observer = nopObserver{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	sign, err := newSigner(o.Secret)
	if err != nil {
		return nil, err
	}
	client := newClient(o.dial)
	made := func(name string, c Callback) *callback {
		return newCallback(name, c, client, sign, o.Observer, o.Logger)
	}
	return &Hooks{
		client:     client,
		forwarded:  forwardedNames(o.ForwardHeaders),
		connect:    made(HookConnect, o.Connect),
		subscribe:  made(HookSubscribe, o.Subscribe),
		publish:    made(HookPublish, o.Publish),
		rpc:        made(HookRPC, o.RPC),
		refresh:    made(HookRefresh, o.Refresh),
		subRefresh: made(HookSubRefresh, o.SubRefresh),
		webhooks:   newWebhooks(o, client, sign),
	}, nil
}

// newClient returns an HTTP client that keeps as many connections as can be in use and follows no redirects.
func newClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dial,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    dialTimeout,
			MaxIdleConns:           2 * maxInFlight,
			MaxIdleConnsPerHost:    maxInFlight,
			IdleConnTimeout:        time.Minute,
			MaxResponseHeaderBytes: maxResponseHeaderBytes,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run sends events until ctx ends, and then tries for flushTimeout to send the remaining ones. Callbacks work without
// it. It returns nil.
func (h *Hooks) Run(ctx context.Context) error {
	defer h.client.CloseIdleConnections()
	if h.webhooks == nil {
		<-ctx.Done()
		return nil
	}
	h.webhooks.run(ctx)
	return nil
}

// HasConnect reports whether the connect callback is configured.
func (h *Hooks) HasConnect() bool { return h.connect != nil }

// HasSubscribe reports whether the subscribe callback is configured.
func (h *Hooks) HasSubscribe() bool { return h.subscribe != nil }

// HasPublish reports whether the publish callback is configured.
func (h *Hooks) HasPublish() bool { return h.publish != nil }

// HasRefresh reports whether the refresh callback is configured.
func (h *Hooks) HasRefresh() bool { return h.refresh != nil }

// HasSubRefresh reports whether the callback that refreshes subscriptions is configured.
func (h *Hooks) HasSubRefresh() bool { return h.subRefresh != nil }

// HasRPC reports whether the rpc callback is configured.
func (h *Hooks) HasRPC() bool { return h.rpc != nil }

// Connect calls the connect callback, which decides whether a client may connect and as which user. The result is empty
// when the backend is down and the policy is Allow; then the client's token decides.
//
// Connect, Subscribe, Publish, RPC, Refresh and SubRefresh return an *Error or a *Disconnect of the backend, an error
// that wraps ErrDown, and ctx.Err() when ctx was canceled.
func (h *Hooks) Connect(ctx context.Context, r ConnectRequest) (*ConnectResult, error) {
	headers := pickHeaders(r.Header, h.forwarded)
	got, err := h.connect.call(ctx, r.body(headers), headers)
	if err != nil {
		return nil, err
	}
	return &ConnectResult{
		User:     got.User,
		ExpireAt: got.ExpireAt,
		Info:     got.Info,
		Data:     got.payload,
		Channels: got.Channels,
		Subs:     got.subs(),
		Caps:     got.Caps,
		Meta:     got.Meta,
	}, nil
}

// Subscribe calls the subscribe callback, which decides whether a client may subscribe to a channel. It returns the
// errors of Connect.
func (h *Hooks) Subscribe(ctx context.Context, r SubscribeRequest) (*SubscribeResult, error) {
	got, err := h.subscribe.call(ctx, r.body(), nil)
	if err != nil {
		return nil, err
	}
	return &SubscribeResult{Info: got.Info, Data: got.payload, ExpireAt: got.ExpireAt}, nil
}

// Publish calls the publish callback, which decides whether a client may publish a message. The result may contain a
// message that replaces the client's. It returns the errors of Connect.
func (h *Hooks) Publish(ctx context.Context, r PublishRequest) (*PublishResult, error) {
	got, err := h.publish.call(ctx, r.body(), nil)
	if err != nil {
		return nil, err
	}
	return &PublishResult{Data: got.payload, SkipHistory: got.SkipHistory}, nil
}

// RPC calls the rpc callback with a client's call and returns the backend's result. It returns the errors of Connect.
func (h *Hooks) RPC(ctx context.Context, r RPCRequest) (*RPCResult, error) {
	got, err := h.rpc.call(ctx, r.body(), nil)
	if err != nil {
		return nil, err
	}
	return &RPCResult{Data: got.payload}, nil
}

// Refresh calls the refresh callback, which decides whether a client may stay whose time is over. It returns the errors
// of Connect.
func (h *Hooks) Refresh(ctx context.Context, r RefreshRequest) (*RefreshResult, error) {
	return refreshed(h.refresh.call(ctx, r.body(), nil))
}

// SubRefresh calls the callback that decides whether a subscription may go on whose time is over. It returns the errors
// of Connect.
func (h *Hooks) SubRefresh(ctx context.Context, r SubRefreshRequest) (*RefreshResult, error) {
	return refreshed(h.subRefresh.call(ctx, r.body(), nil))
}

// refreshed returns the result of a refresh, or the error of its call.
func refreshed(got *result, err error) (*RefreshResult, error) {
	if err != nil {
		return nil, err
	}
	return &RefreshResult{Expired: got.Expired, ExpireAt: got.ExpireAt, Info: got.Info, Meta: got.Meta}, nil
}

// Emit queues an event for the webhook without blocking. It drops and counts the event when the queue is full.
func (h *Hooks) Emit(e Event) {
	if h.webhooks != nil {
		h.webhooks.emit(e)
	}
}

// Wants reports whether events of this kind are sent.
func (h *Hooks) Wants(k Kind) bool { return h.webhooks != nil && h.webhooks.wants[k] }

// Queued returns the number of events that the receiver has not accepted yet.
func (h *Hooks) Queued() int {
	if h.webhooks == nil {
		return 0
	}
	return h.webhooks.queue.pending()
}

// BreakerOpen reports whether a hook is not called for now because its backend is down. hook is one of the Hook
// constants.
func (h *Hooks) BreakerOpen(hook string) bool {
	if hook == HookWebhook {
		return h.webhooks != nil && h.webhooks.breaker.open()
	}
	for _, c := range []*callback{h.connect, h.subscribe, h.publish, h.rpc, h.refresh, h.subRefresh} {
		if c != nil && c.name == hook {
			return c.breaker.open()
		}
	}
	return false
}

// errNotConfigured is returned for a callback that is not configured.
var errNotConfigured = errors.New("there is no such hook: ask Has before")

// nopObserver counts nothing.
type nopObserver struct{}

func (nopObserver) HookCalled(string, string, time.Duration) {}
func (nopObserver) WebhookDelivered(string, int)             {}
func (nopObserver) WebhookDropped(string, int)               {}
