// Package hooks is what the gateway asks of and tells an application's backend over HTTP. Callbacks
// are questions a client waits for: may it connect, subscribe, publish, and what does its call
// return. They have the shapes of Centrifugo's proxy, so that backends made for it work. Webhooks
// are news that nobody waits for: batches of CloudEvents, signed, tried again until they are taken.
package hooks

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Policy is what becomes of a client whose hook nobody answers.
type Policy string

// The values of Policy; Refuse is the default.
const (
	Refuse Policy = "Refuse"
	// Allow lets the client go on as if there was no hook. Whoever can take the backend down gets in.
	Allow Policy = "Allow"
)

// Names of the hooks, in metrics and logs.
const (
	HookConnect   = "connect"
	HookSubscribe = "subscribe"
	HookPublish   = "publish"
	HookRPC       = "rpc"
	// HookWebhook is known to BreakerOpen only.
	HookWebhook = "webhook"
)

// Bounds that nobody has had a reason to change.
const (
	// DefaultTimeout is how long a backend has for an answer.
	DefaultTimeout = time.Second
	mostInFlight   = 512
	mostAnswer     = 1 << 20
	mostHeader     = 64 << 10
	dialTimeout    = 5 * time.Second
	userAgent      = "wsfleet-gateway"
)

// Callback is one hook. Without a URL there is none.
type Callback struct {
	URL string
	// Timeout is DefaultTimeout when it is 0.
	Timeout time.Duration
	// WhenDown is Refuse when it is empty, and nothing else for rpc: nobody can make up a result.
	WhenDown Policy
}

// Options are what Hooks are made of.
type Options struct {
	Connect, Subscribe, Publish, RPC Callback
	// Secret signs every request, callbacks and webhooks: whsec_ and a key in base64. Several, with
	// spaces between them, make a signature each, so that a receiver can change over.
	Secret string
	// ForwardHeaders are names of a client's headers that Connect forwards besides Origin and User-Agent.
	ForwardHeaders []string

	// WebhookURL is where events go. Without it there are none.
	WebhookURL string
	// WebhookEvents are those that are wanted; empty is all.
	WebhookEvents []string
	// Cluster and Node say where events come from.
	Cluster, Node string

	// Observer and Logger may be nil.
	Observer Observer
	Logger   *slog.Logger

	// dial replaces the network in tests.
	dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Observer counts what happens. Implementations must not block.
type Observer interface {
	// HookCalled has one of the Outcomes.
	HookCalled(hook, outcome string, took time.Duration)
	// WebhookDelivered has one of the Deliveries: what came of a batch that was sent.
	WebhookDelivered(outcome string, events int)
	// WebhookDropped has one of the Drops: events that were never sent, or not to the end.
	WebhookDropped(reason string, events int)
}

// Outcomes of a callback.
const (
	OutcomeOK         = "ok"
	OutcomeError      = "error"
	OutcomeDisconnect = "disconnect"
	OutcomeDown       = "down"
	OutcomeAllowed    = "allowed_while_down"
	// OutcomeCanceled: the client was gone before there was an answer.
	OutcomeCanceled = "canceled"
)

// Deliveries are outcomes of webhooks.
const (
	DeliveryOK = "delivered"
	// DeliveryRejected: the receiver does not want the batch, ever.
	DeliveryRejected = "rejected"
	// DeliveryFailed: no attempt found a receiver that could take it.
	DeliveryFailed = "failed"
)

// Drops are why events are not sent.
const (
	DropQueueFull = "queue_full"
	DropShutdown  = "shutdown"
)

// Hooks is safe for use by many goroutines.
type Hooks struct {
	client                           *http.Client
	forwarded                        []string
	connect, subscribe, publish, rpc *callback
	webhooks                         *webhooks
}

// New checks the options and returns hooks. Run them.
func New(o Options) (*Hooks, error) {
	if err := Check(o); err != nil {
		return nil, err
	}
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	sign, err := newSigner(o.Secret)
	if err != nil {
		return nil, err
	}
	client := newClient(o.dial)
	h := &Hooks{
		client: client, forwarded: forwarded(o.ForwardHeaders),
		connect:   newCallback(HookConnect, o.Connect, client, sign, o.Observer, o.Logger),
		subscribe: newCallback(HookSubscribe, o.Subscribe, client, sign, o.Observer, o.Logger),
		publish:   newCallback(HookPublish, o.Publish, client, sign, o.Observer, o.Logger),
		rpc:       newCallback(HookRPC, o.RPC, client, sign, o.Observer, o.Logger),
		webhooks:  newWebhooks(o, client, sign),
	}
	return h, nil
}

// newClient keeps as many connections as may be in use at once, and goes where it was told only.
func newClient(dial func(context.Context, string, string) (net.Conn, error)) *http.Client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dial, ForceAttemptHTTP2: true, TLSHandshakeTimeout: dialTimeout,
			MaxIdleConns: 2 * mostInFlight, MaxIdleConnsPerHost: mostInFlight, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: mostHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Run delivers webhooks until the context ends, and then tries for a moment to deliver what is left.
// Callbacks work without it.
func (h *Hooks) Run(ctx context.Context) error {
	defer h.client.CloseIdleConnections()
	if h.webhooks == nil {
		<-ctx.Done()
		return nil
	}
	h.webhooks.run(ctx)
	return nil
}

// HasConnect and the like say whether there is such a hook.
func (h *Hooks) HasConnect() bool { return h.connect != nil }

// HasSubscribe is HasConnect for subscribe.
func (h *Hooks) HasSubscribe() bool { return h.subscribe != nil }

// HasPublish is HasConnect for publish.
func (h *Hooks) HasPublish() bool { return h.publish != nil }

// HasRPC is HasConnect for rpc.
func (h *Hooks) HasRPC() bool { return h.rpc != nil }

// Connect asks whether a client may connect, and as whom. The result is empty when nobody answers
// and that is allowed: then what the client's token says holds.
func (h *Hooks) Connect(ctx context.Context, r ConnectRequest) (*ConnectResult, error) {
	headers := pick(r.Header, h.forwarded)
	got, err := h.connect.call(ctx, r.body(headers), headers)
	if err != nil {
		return nil, err
	}
	return &ConnectResult{User: got.User, ExpireAt: got.ExpireAt, Info: got.Info, Data: got.payload, Channels: got.Channels, Caps: got.Caps}, nil
}

// Subscribe asks whether a client may subscribe to a channel.
func (h *Hooks) Subscribe(ctx context.Context, r SubscribeRequest) (*SubscribeResult, error) {
	got, err := h.subscribe.call(ctx, r.body(), nil)
	if err != nil {
		return nil, err
	}
	return &SubscribeResult{Info: got.Info, Data: got.payload, ExpireAt: got.ExpireAt}, nil
}

// Publish asks whether a client may publish a message to a channel. The result may hold another
// message, which takes its place.
func (h *Hooks) Publish(ctx context.Context, r PublishRequest) (*PublishResult, error) {
	got, err := h.publish.call(ctx, r.body(), nil)
	if err != nil {
		return nil, err
	}
	return &PublishResult{Data: got.payload}, nil
}

// RPC hands a client's call to the backend, and returns its answer.
func (h *Hooks) RPC(ctx context.Context, r RPCRequest) (*RPCResult, error) {
	got, err := h.rpc.call(ctx, r.body(), nil)
	if err != nil {
		return nil, err
	}
	return &RPCResult{Data: got.payload}, nil
}

// Emit queues an event. It never blocks: an event that finds the queue full is dropped and counted.
func (h *Hooks) Emit(e Event) {
	if h.webhooks != nil {
		h.webhooks.emit(e)
	}
}

// Wants tells whether the receiver of events is to hear of such.
func (h *Hooks) Wants(k Kind) bool { return h.webhooks != nil && h.webhooks.wants[k] }

// Queued is how many events wait to be taken by the receiver.
func (h *Hooks) Queued() int {
	if h.webhooks == nil {
		return 0
	}
	return h.webhooks.queue.pending()
}

// BreakerOpen says whether a hook is not asked for the moment, because its backend is down.
func (h *Hooks) BreakerOpen(hook string) bool {
	if hook == HookWebhook {
		return h.webhooks != nil && h.webhooks.breaker.open()
	}
	for _, c := range []*callback{h.connect, h.subscribe, h.publish, h.rpc} {
		if c != nil && c.name == hook {
			return c.breaker.open()
		}
	}
	return false
}

// errNone is a call of a hook that is not configured.
var errNone = errors.New("there is no such hook: ask Has before")

// nobody observes when there is no Observer.
type nobody struct{}

func (nobody) HookCalled(string, string, time.Duration) {}
func (nobody) WebhookDelivered(string, int)             {}
func (nobody) WebhookDropped(string, int)               {}
