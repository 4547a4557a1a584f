package hooks

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// callback is one hook: where to ask, and how much of it at once.
type callback struct {
	name     string
	url      string
	timeout  time.Duration
	allow    bool
	client   *http.Client
	sign     signer
	observer Observer

	inFlight *semaphore.Weighted
	breaker  breaker
	warnings *ratelog.Limiter
}

// newCallback is nil for a hook that is not configured.
func newCallback(name string, c Callback, client *http.Client, sign signer, observer Observer, log *slog.Logger) *callback {
	if c.URL == "" {
		return nil
	}
	return &callback{
		name: name, url: c.URL, timeout: cmp.Or(c.Timeout, DefaultTimeout), allow: c.WhenDown == Allow,
		client: client, sign: sign, observer: observer,
		inFlight: semaphore.NewWeighted(mostInFlight), breaker: newBreaker(name, breakerPause, log),
		warnings: ratelog.New(log),
	}
}

// call asks, and says what holds: also when there is no answer.
func (c *callback) call(ctx context.Context, request any, headers map[string]string) (*result, error) {
	if c == nil {
		return nil, errNone
	}
	start := time.Now()
	r, err := c.ask(ctx, request, headers)
	outcome := outcomeOf(err)
	if f, failed := errors.AsType[*failure](err); failed {
		c.warnings.Warn("hook has no answer", slog.String("hook", c.name), slog.String("reason", f.reason))
		if c.allow && !f.meant {
			r, err, outcome = &result{}, nil, OutcomeAllowed
		}
	}
	c.observer.HookCalled(c.name, outcome, time.Since(start))
	return r, err
}

func outcomeOf(err error) string {
	if err == nil {
		return OutcomeOK
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return OutcomeError
	}
	if _, ok := errors.AsType[*Disconnect](err); ok {
		return OutcomeDisconnect
	}
	if errors.Is(err, ErrDown) {
		return OutcomeDown
	}
	return OutcomeCanceled
}

// ask sends a request if there is room for it, and reads the answer.
func (c *callback) ask(ctx context.Context, request any, headers map[string]string) (r *result, err error) {
	if !c.inFlight.TryAcquire(1) {
		return nil, down("%d requests are on their way: it is crowded", mostInFlight)
	}
	defer c.inFlight.Release(1)
	err = c.breaker.through(func() error {
		answer, err := c.exchange(ctx, request, headers)
		if err != nil {
			return err
		}
		r, err = parse(answer)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// exchange is one request and the body of its answer.
func (c *callback) exchange(parent context.Context, question any, headers map[string]string) ([]byte, error) {
	body, err := encode(question)
	if err != nil {
		return nil, unusable("the request could not be written")
	}
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	request, err := post(ctx, c.url, "application/json", body)
	if err != nil {
		return nil, err
	}
	if c.name == HookConnect || c.name == HookSubscribe {
		replayable(request)
	}
	// As headers too, because that is where existing backends look for a cookie.
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if err := c.sign.sign(request.Header, uuid.NewString(), body); err != nil {
		return nil, unusable("the request could not be signed")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, unreached(parent, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := understood(response.StatusCode); err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
	switch {
	case err != nil:
		return nil, unreached(parent, err)
	case len(answer) > mostAnswer:
		return nil, unusable("the answer is longer than %d bytes", mostAnswer)
	}
	return answer, nil
}

// post is a request to a backend.
func post(ctx context.Context, to, contentType string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, unusable("the request could not be made")
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", userAgent)
	return r, nil
}

// replayable lets the client send a request again whose connection, kept from before, turns out to be
// closed. The header is not sent.
func replayable(r *http.Request) { r.Header["Idempotency-Key"] = []string{} }

// understood tells a backend that is down by its status from one that was asked the wrong way.
func understood(status int) error {
	switch {
	case status == http.StatusOK:
		return nil
	case again(status):
		return down("it answered status %d", status)
	case status >= 300 && status < 400:
		return unusable("it answered with a redirect, status %d, and redirects are not followed", status)
	}
	return unusable("it answered status %d instead of 200", status)
}

// again says whether the same request may be answered in another way later.
func again(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// unreached is why a request got no answer. Addresses may be in it, but not the URL, whose query may
// hold a key, and nothing of what the peer sent.
func unreached(parent context.Context, err error) error {
	if errors.Is(parent.Err(), context.Canceled) {
		return parent.Err()
	}
	if failed, ok := errors.AsType[net.Error](err); ok && failed.Timeout() {
		return down("it did not answer in time")
	}
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return down("it cannot be reached: %v", failed)
	}
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return down("its certificate cannot be trusted: %v", failed)
	}
	return down("it broke the connection off, or does not speak HTTP")
}
