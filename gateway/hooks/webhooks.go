package hooks

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Sizes and times of webhooks.
const (
	mostQueued  = 10_000
	mostInBatch = 100
	// gather is how long the first event of a batch waits for company.
	gather = 100 * time.Millisecond
	// flushTime is for what is left when the gateway ends.
	flushTime   = 2 * time.Second
	contentType = "application/cloudevents-batch+json"
	// webhookPause is longer than that of hooks: nobody waits for an answer.
	webhookPause = 30 * time.Second
)

// webhooks sends events to one URL, one batch after the other, so that they arrive in order.
type webhooks struct {
	url, source string
	wants       map[Kind]bool
	client      *http.Client
	sign        signer
	observer    Observer

	queue    *queue
	breaker  breaker
	warnings *ratelog.Limiter
	// notBefore is when the next attempt may be made.
	notBefore time.Time
}

// batch is events that are sent together. Its id stays the same over all attempts.
type batch struct {
	id     string
	body   []byte
	events int
}

// newWebhooks is nil when there is nowhere to send events to.
func newWebhooks(o Options, client *http.Client, sign signer) *webhooks {
	if o.WebhookURL == "" {
		return nil
	}
	return &webhooks{
		url: o.WebhookURL, source: source(o.Cluster, o.Node), wants: wanted(o.WebhookEvents),
		client: client, sign: sign, observer: o.Observer,
		queue: newQueue(mostQueued), breaker: newBreaker(HookWebhook, webhookPause, o.Logger),
		warnings: ratelog.New(o.Logger),
	}
}

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

func (w *webhooks) dropped(reason string, events int) {
	w.observer.WebhookDropped(reason, events)
	w.warnings.Warn("webhook events dropped", slog.String("reason", reason), slog.Int("events", events))
}

// run delivers until the context ends. An attempt that is under way then may finish.
func (w *webhooks) run(ctx context.Context) {
	attempts, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushTime, giveUp) })()
	var left *batch
	for {
		events := w.gather(ctx)
		if len(events) == 0 {
			break
		}
		if left = w.deliver(ctx, attempts, w.batch(events)); left != nil {
			break
		}
	}
	w.flush(attempts, left)
}

// gather returns the next events, and none when the context ends before there is a batch.
func (w *webhooks) gather(ctx context.Context) []Event {
	var full <-chan time.Time
	for n := w.queue.waiting(); n < mostInBatch; n = w.queue.waiting() {
		if n > 0 && full == nil {
			full = time.After(gather)
		}
		select {
		case <-w.queue.wake:
		case <-full:
			return w.queue.take(mostInBatch)
		case <-ctx.Done():
			return nil
		}
	}
	return w.queue.take(mostInBatch)
}

// batch writes events down, once for all attempts.
func (w *webhooks) batch(events []Event) *batch {
	out := make([]cloudEvent, 0, len(events))
	for _, e := range events {
		out = append(out, e.cloudEvent(w.source))
	}
	// Strings, numbers and times can always be written.
	body, _ := encode(out)
	return &batch{id: uuid.NewString(), body: body, events: len(events)}
}

// flush tries once to deliver what is left, in order, until an attempt fails. The breaker is not asked:
// there is no later.
func (w *webhooks) flush(ctx context.Context, left *batch) {
	for {
		if left == nil {
			events := w.queue.take(mostInBatch)
			if len(events) == 0 {
				break
			}
			left = w.batch(events)
		}
		err := w.send(ctx, left)
		if err != nil && !rejected(err) {
			break
		}
		w.done(left, err)
		left = nil
	}
	if lost := w.queue.close(); lost > 0 {
		w.dropped(DropShutdown, lost)
	}
}
