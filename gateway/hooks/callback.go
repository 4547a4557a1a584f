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
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// callback calls one hook.
type callback struct {
	name    string
	url     string
	timeout time.Duration
	// allow means that the client goes on when the backend is down.
	allow    bool
	client   *http.Client
	sign     signer
	observer Observer

	inFlight *semaphore.Weighted
	breaker  breaker
	warnings *ratelog.Limiter
	log      *slog.Logger

	// unknownMu guards unknown, the members of answers that were logged as unknown.
	unknownMu sync.Mutex
	unknown   []string
}

// newCallback returns nil for a hook that is not configured.
func newCallback(
	name string, c Callback, client *http.Client, sign signer, observer Observer, log *slog.Logger,
) *callback {
	if c.URL == "" {
		return nil
	}
	return &callback{
		name:     name,
		url:      c.URL,
		timeout:  cmp.Or(c.Timeout, DefaultTimeout),
		allow:    c.WhenDown == Allow,
		client:   client,
		sign:     sign,
		observer: observer,
		inFlight: semaphore.NewWeighted(maxInFlight),
		breaker:  newBreaker(name, callbackOpenDuration, log),
		warnings: ratelog.New(log),
		log:      log,
	}
}

// call calls the hook and applies its Policy when the backend is down. It returns errNotConfigured for a nil callback,
// an *Error or a *Disconnect of the backend, an error that wraps ErrDown, or ctx.Err() when ctx was canceled.
func (c *callback) call(ctx context.Context, request any, headers map[string]string) (*result, error) {
	if c == nil {
		return nil, errNotConfigured
	}
	start := time.Now()
	r, err := c.limitedCall(ctx, request, headers)
	outcome := outcomeOf(err)
	if f, failed := errors.AsType[*failure](err); failed {
		c.warnings.Warn("hook has no answer", slog.String("hook", c.name), slog.String("reason", f.reason))
		if c.allow && !f.responded {
			r, err, outcome = &result{}, nil, OutcomeAllowed
		}
	}
	c.observer.HookCalled(c.name, outcome, time.Since(start))
	return r, err
}

// outcomeOf returns the Outcome constant of an error of call.
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

// limitedCall calls the hook unless the breaker is open. While maxInFlight calls are running it waits for one of them
// to end, for timeout at most. It returns the errors of call.
func (c *callback) limitedCall(ctx context.Context, request any, headers map[string]string) (r *result, err error) {
	if err := c.acquire(ctx); err != nil {
		return nil, err
	}
	defer c.inFlight.Release(1)
	err = c.breaker.do(func() error {
		body, err := c.roundTrip(ctx, request, headers)
		if err != nil {
			return err
		}
		if r, err = parse(body); err == nil {
			c.warnOfUnknown(r.unknown)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// maxUnknownMembers is the maximum number of members of one hook's answers that are logged as unknown.
const maxUnknownMembers = 16

// warnOfUnknown logs each member of the backend's answers that does nothing here, once.
func (c *callback) warnOfUnknown(names []string) {
	if len(names) == 0 {
		return
	}
	c.unknownMu.Lock()
	defer c.unknownMu.Unlock()
	for _, name := range names {
		if slices.Contains(c.unknown, name) || len(c.unknown) == maxUnknownMembers {
			continue
		}
		c.unknown = append(c.unknown, name)
		c.log.Warn("the answer of a hook has a member that is not known and does nothing",
			slog.String("hook", c.name), slog.String("member", "result."+name))
	}
}

// acquire waits until fewer than maxInFlight calls are running. It returns a *failure after timeout, or parent.Err()
// when parent was canceled.
func (c *callback) acquire(parent context.Context) error {
	if c.inFlight.TryAcquire(1) {
		return nil
	}
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	if c.inFlight.Acquire(ctx, 1) == nil {
		return nil
	}
	if err := parent.Err(); err != nil {
		return err
	}
	return down("%d requests are on their way: it is crowded", maxInFlight)
}

// roundTrip sends one request and returns the body of the response. It returns a *failure, or parent.Err() when parent
// was canceled.
func (c *callback) roundTrip(parent context.Context, requestBody any, headers map[string]string) ([]byte, error) {
	body, err := encode(requestBody)
	if err != nil {
		return nil, unusable("the request could not be written")
	}
	ctx, cancel := context.WithTimeout(parent, c.timeout)
	defer cancel()
	request, err := post(ctx, c.url, "application/json", body)
	if err != nil {
		return nil, err
	}
	if c.name != HookPublish && c.name != HookRPC {
		replayable(request)
	}
	// The headers are in the body too. Existing backends look for a cookie here.
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if err := c.sign.sign(request.Header, uuid.NewString(), body); err != nil {
		return nil, unusable("the request could not be signed")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return nil, requestError(parent, err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := checkStatus(response.StatusCode); err != nil {
		return nil, err
	}
	responseBody, err := io.ReadAll(io.LimitReader(response.Body, maxResponseBytes+1))
	switch {
	case err != nil:
		return nil, requestError(parent, err)
	case len(responseBody) > maxResponseBytes:
		return nil, unusable("the answer is longer than %d bytes", maxResponseBytes)
	}
	return responseBody, nil
}

// post returns a POST request to a backend, or a *failure.
func post(ctx context.Context, to, contentType string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, unusable("the request could not be made")
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("User-Agent", userAgent)
	return r, nil
}

// replayable lets the HTTP client repeat a request when the connection that it kept open turns out to be closed. The
// empty header is not sent.
func replayable(r *http.Request) { r.Header["Idempotency-Key"] = []string{} }

// checkStatus returns nil for status 200. For other statuses it returns a *failure: that the backend is down, or that
// it refused the request for good.
func checkStatus(status int) error {
	switch {
	case status == http.StatusOK:
		return nil
	case temporary(status):
		return down("it answered status %d", status)
	case status >= 300 && status < 400:
		return unusable("it answered with a redirect, status %d, and redirects are not followed", status)
	}
	return unusable("it answered status %d instead of 200", status)
}

// temporary reports whether the same request may succeed later.
func temporary(status int) bool {
	return status >= 500 || status == http.StatusRequestTimeout || status == http.StatusTooManyRequests
}

// requestError returns a *failure that says why a request got no response, or parent.Err() when parent was canceled.
// The text may contain addresses, but neither the URL, whose query may contain a key, nor anything that the peer sent.
func requestError(parent context.Context, err error) error {
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
