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

const (
	// maxAttempts is how often a batch is tried.
	maxAttempts = 5
	// maxElapsed is how long a batch is tried.
	maxElapsed     = 5 * time.Minute
	initialDelay   = time.Second
	delayFactor    = 3
	maxDelay       = time.Minute
	attemptTimeout = 10 * time.Second
	// maxRetryAfter is the maximum delay that a receiver can ask for with Retry-After.
	maxRetryAfter = 5 * time.Minute
	// maxDiscardedBytes is how much of a response's body is read, so that the connection can be used again.
	maxDiscardedBytes = 64 << 10
)

// deliver tries to deliver a batch until the receiver accepts or rejects it, or until it has failed too often. It
// returns the batch when ctx ended before that. attempts is the context of the requests.
func (w *webhooks) deliver(ctx, attempts context.Context, b *batch) *batch {
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.Multiplier, delays.MaxInterval = initialDelay, delayFactor, maxDelay
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := w.sendWhenAllowed(ctx, attempts, b)
		if rejected(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(delays), backoff.WithMaxTries(maxAttempts), backoff.WithMaxElapsedTime(maxElapsed))
	if err != nil && !rejected(err) && ctx.Err() != nil {
		return b
	}
	w.finish(b, err)
	return nil
}

// sendWhenAllowed waits for notBefore and for the breaker, and then sends the batch. It returns the error of send, or
// ctx.Err() when ctx ends first. Waiting for the breaker does not count as an attempt.
func (w *webhooks) sendWhenAllowed(ctx, attempts context.Context, b *batch) error {
	for {
		select {
		case <-time.After(time.Until(w.notBefore)):
		case <-ctx.Done():
			return ctx.Err()
		}
		err := w.breaker.do(func() error { return w.send(attempts, b) })
		if !errors.Is(err, errBreakerOpen) {
			return err
		}
		w.notBefore = time.Now().Add(webhookOpenDuration)
	}
}

// finish reports the outcome of a batch and releases its place in the queue.
func (w *webhooks) finish(b *batch, err error) {
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

// rejected reports whether the receiver responded and will never accept the batch.
func rejected(err error) bool {
	f, failed := errors.AsType[*failure](err)
	return failed && f.responded
}

// send makes one attempt. It returns a *failure, or parent.Err() when parent was canceled.
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
		return requestError(parent, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.CopyN(io.Discard, response.Body, maxDiscardedBytes)
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return nil
	}
	w.notBefore = time.Now().Add(retryAfter(response))
	return checkStatus(response.StatusCode)
}

// retryAfter returns the delay of the Retry-After header (RFC 9110, section 10.2.3), at most maxRetryAfter and 0
// without the header.
func retryAfter(r *http.Response) time.Duration {
	value := r.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(time.Until(at), maxRetryAfter)
	}
	return 0
}
