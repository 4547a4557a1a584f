package hooks

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How often a batch is tried, and how long.
const (
	mostAttempts   = 5
	mostElapsed    = 5 * time.Minute
	firstPause     = time.Second
	pauseFactor    = 3
	lastPause      = time.Minute
	attemptTimeout = 10 * time.Second
	// longestRest bounds what a receiver can ask for with Retry-After.
	longestRest = 5 * time.Minute
	// mostDiscarded is how much of an answer is read to keep the connection.
	mostDiscarded = 64 << 10
)

// deliver tries until a batch is taken or given up. It returns the batch when ctx ended before.
func (w *webhooks) deliver(ctx, attempts context.Context, b *batch) *batch {
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.Multiplier, pauses.MaxInterval = firstPause, pauseFactor, lastPause
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := w.patient(ctx, attempts, b)
		if rejected(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(mostAttempts), backoff.WithMaxElapsedTime(mostElapsed))
	if err != nil && !rejected(err) && ctx.Err() != nil {
		return b
	}
	w.done(b, err)
	return nil
}

// patient is an attempt that waits until it may be made: a batch that was kept back has not been tried.
func (w *webhooks) patient(ctx, attempts context.Context, b *batch) error {
	for {
		select {
		case <-time.After(time.Until(w.notBefore)):
		case <-ctx.Done():
			return ctx.Err()
		}
		err := w.breaker.through(func() error { return w.send(attempts, b) })
		if !errors.Is(err, errBreaker) {
			return err
		}
		w.notBefore = time.Now().Add(webhookPause)
	}
}

// done counts what became of a batch.
func (w *webhooks) done(b *batch, err error) {
	outcome := DeliveryOK
	switch {
	case rejected(err):
		outcome = DeliveryRejected
	case err != nil:
		outcome = DeliveryFailed
	}
	w.queue.sent(b.events)
	w.observer.WebhookDelivered(outcome, b.events)
	if f, failed := errors.AsType[*failure](err); failed {
		w.warnings.Warn("webhook batch given up",
			slog.String("outcome", outcome), slog.String("reason", f.reason), slog.Int("events", b.events))
	}
}

// rejected says that a receiver was there and will never take the batch.
func rejected(err error) bool {
	f, failed := errors.AsType[*failure](err)
	return failed && f.meant
}

// send is one attempt.
func (w *webhooks) send(parent context.Context, b *batch) error {
	ctx, cancel := context.WithTimeout(parent, attemptTimeout)
	defer cancel()
	request, err := post(ctx, w.url, contentType, b.body)
	if err != nil {
		return err
	}
	replayable(request)
	if err := w.sign.sign(request.Header, b.id, b.body); err != nil {
		return unusable("the request could not be signed")
	}
	response, err := w.client.Do(request)
	if err != nil {
		return unreached(parent, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, mostDiscarded)
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	w.notBefore = time.Now().Add(retryAfter(response))
	return understood(response.StatusCode)
}

// retryAfter is how long a receiver asks to be left alone, seconds or a date, up to a bound.
func retryAfter(r *http.Response) time.Duration {
	value := r.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestRest)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(time.Until(at), longestRest)
	}
	return 0
}
