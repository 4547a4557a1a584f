package hooks

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

const (
	maxQueuedEvents = 10_000
	maxBatchEvents  = 100
	// batchDelay is how long the first event of a batch waits for more events.
	batchDelay = 100 * time.Millisecond
	// flushTimeout is how long the queue is flushed when the gateway ends.
	flushTimeout = 2 * time.Second
	contentType  = "application/cloudevents-batch+json"
	// webhookOpenDuration is how long the webhook's breaker stays open. It is longer than that of callbacks, because no
	// client waits for a webhook.
	webhookOpenDuration = 30 * time.Second
)

// webhooks sends events to one URL, one batch after another, so that they arrive in order.
type webhooks struct {
	url, source string
	wants       map[Kind]bool
	client      *http.Client
	sign        signer
	observer    Observer

	queue    *queue
	breaker  breaker
	warnings *ratelog.Limiter
	// notBefore is the earliest time of the next attempt.
	notBefore time.Time
}

// batch is a list of events that are sent together. Its id stays the same for all attempts.
type batch struct {
	id     string
	body   []byte
	events int
}

// newWebhooks returns nil when no URL is configured.
func newWebhooks(o Options, client *http.Client, sign signer) *webhooks {
	if o.WebhookURL == "" {
		return nil
	}
	return &webhooks{
		url:      o.WebhookURL,
		source:   source(o.Cluster, o.Node),
		wants:    wantedKinds(o.WebhookEvents),
		client:   client,
		sign:     sign,
		observer: o.Observer,
		queue:    newQueue(maxQueuedEvents),
		breaker:  newBreaker(HookWebhook, webhookOpenDuration, o.Logger),
		warnings: ratelog.New(o.Logger),
	}
}

// emit queues an event that is wanted, or drops it.
func (w *webhooks) emit(e Event) {
	if !w.wants[e.Kind] {
		return
	}
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if reason := w.queue.push(e); reason != "" {
		w.dropped(reason, 1)
	}
}

// dropped reports that events were dropped for a reason, one of the Drop constants.
func (w *webhooks) dropped(reason string, events int) {
	w.observer.WebhookDropped(reason, events)
	w.warnings.Warn("webhook events dropped", slog.String("reason", reason), slog.Int("events", events))
}

// run delivers events until ctx ends, and then flushes the queue for flushTimeout. An attempt that is running when ctx
// ends may finish.
func (w *webhooks) run(ctx context.Context) {
	attempts, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTimeout, giveUp) })()
	var pending *batch
	for {
		events := w.nextEvents(ctx)
		if len(events) == 0 {
			break
		}
		if pending = w.deliver(ctx, attempts, w.newBatch(events)); pending != nil {
			break
		}
	}
	w.flush(attempts, pending)
}

// nextEvents blocks until there is a full batch of events, or until batchDelay after the first of them. It returns none
// when ctx ends first.
func (w *webhooks) nextEvents(ctx context.Context) []Event {
	var full <-chan time.Time
	for n := w.queue.waiting(); n < maxBatchEvents; n = w.queue.waiting() {
		if n > 0 && full == nil {
			full = time.After(batchDelay)
		}
		select {
		case <-w.queue.wake:
		case <-full:
			return w.queue.take(maxBatchEvents)
		case <-ctx.Done():
			return nil
		}
	}
	return w.queue.take(maxBatchEvents)
}

// newBatch encodes events, once for all attempts.
func (w *webhooks) newBatch(events []Event) *batch {
	out := make([]cloudEvent, 0, len(events))
	for _, e := range events {
		out = append(out, e.cloudEvent(w.source))
	}
	// Strings, numbers and times can always be encoded.
	body, _ := encode(out)
	return &batch{id: uuid.NewString(), body: body, events: len(events)}
}

// flush tries once to deliver pending, which may be nil, and the queue, in order, until an attempt fails. It ignores
// the breaker, because there is no later attempt.
func (w *webhooks) flush(ctx context.Context, pending *batch) {
	for {
		if pending == nil {
			events := w.queue.take(maxBatchEvents)
			if len(events) == 0 {
				break
			}
			pending = w.newBatch(events)
		}
		err := w.send(ctx, pending)
		if err != nil && !rejected(err) {
			break
		}
		w.finish(pending, err)
		pending = nil
	}
	if lost := w.queue.close(); lost > 0 {
		w.dropped(DropShutdown, lost)
	}
}
