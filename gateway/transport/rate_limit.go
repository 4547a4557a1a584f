package transport

import (
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// maxRetryAfter is the longest time that a refused client is told to wait.
const maxRetryAfter = 30 * time.Second

// connectRateLimiter limits new connections per second. Up to one second's worth may come at once.
type connectRateLimiter struct {
	limiter *rate.Limiter
	// retries assigns each refused client a time of its own to come back.
	retries *rate.Limiter
}

// newConnectRateLimiter returns a limiter for a number of connections per second. It returns nil, which
// allows all, for 0.
func newConnectRateLimiter(perSecond int) *connectRateLimiter {
	if perSecond == 0 {
		return nil
	}
	return &connectRateLimiter{
		limiter: rate.NewLimiter(rate.Limit(perSecond), perSecond),
		retries: rate.NewLimiter(rate.Limit(perSecond), 1),
	}
}

// admit counts a new connection. The refusal is nil if the connection is allowed. Otherwise it tells the
// client to come back after all clients that were refused before: if they all came back together, most
// would be refused again.
func (l *connectRateLimiter) admit() *Refusal {
	if l == nil || l.limiter.Allow() {
		return nil
	}
	slot := l.retries.Reserve()
	after := slot.Delay()
	if after > maxRetryAfter {
		slot.Cancel()
		after = maxRetryAfter
	}
	return &Refusal{
		Status:     http.StatusServiceUnavailable,
		Reason:     "rate",
		RetryAfter: max(after, time.Second),
		Message:    fmt.Sprintf("this gateway takes %d new connections per second; try again later", l.limiter.Burst()),
	}
}

// messageRateLimiter is a token bucket in eight bytes for the messages of one client. Its value is the
// time, on the timing wheel's clock, up to which the client has used its rate. Each message adds its
// part of a second, and the time must not be more than a second in the future.
type messageRateLimiter time.Duration

// allow counts a message at a rate per second, and reports whether it is allowed.
func (l *messageRateLimiter) allow(now time.Duration, perSecond int) bool {
	cost := messageRateLimiter(time.Second) / messageRateLimiter(perSecond)
	used := max(*l, messageRateLimiter(now)) + cost
	if used > messageRateLimiter(now+time.Second) {
		return false
	}
	*l = used
	return true
}

// countMessage counts a message and reports whether it is allowed. The caller holds the lock.
func (c *conn) countMessage() bool {
	perSecond := c.server.options.MessageRate
	return perSecond == 0 || c.messageLimiter.allow(c.server.wheel.now(), perSecond)
}

// countReceived counts a message that was received, unless its handler does. The caller holds the lock.
func (c *conn) countReceived() bool { return c.endpoint.CountsMessages || c.countMessage() }

// AllowMessage implements Conn.
func (c *conn) AllowMessage() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.countMessage()
}

// CloseRateLimited implements Conn.
func (c *conn) CloseRateLimited() {
	c.dropInput(dropRate, false)
}
