package transport

import (
	"fmt"
	"net/http"
	"time"

	"golang.org/x/time/rate"
)

// longestRetry is the latest that a refused client is told to come back.
const longestRetry = 30 * time.Second

// turnstile lets connections in at a rate, and as many at once as come within one second.
type turnstile struct {
	bucket *rate.Limiter
	// turns spreads those who are refused: each is told another time, in the order in which they came.
	turns *rate.Limiter
}

// newTurnstile returns one that lets n connections in per second, or everybody when n is 0.
func newTurnstile(n int) *turnstile {
	if n == 0 {
		return nil
	}
	return &turnstile{bucket: rate.NewLimiter(rate.Limit(n), n), turns: rate.NewLimiter(rate.Limit(n), 1)}
}

// pass lets one in, or says when to come back: when all who were refused before have had their turn.
// They would come back together otherwise, and most of them in vain.
func (t *turnstile) pass() *Refusal {
	if t == nil || t.bucket.Allow() {
		return nil
	}
	turn := t.turns.Reserve()
	after := turn.Delay()
	if after > longestRetry {
		turn.Cancel()
		after = longestRetry
	}
	return &Refusal{
		Status: http.StatusServiceUnavailable, Reason: "rate", RetryAfter: max(after, time.Second),
		Message: fmt.Sprintf("this gateway takes %d new connections per second; try again later", t.bucket.Burst()),
	}
}

// allowance is how far ahead of the clock a peer's messages are: each costs its part of a second, and
// nobody gets a whole second ahead. It is a token bucket in eight bytes.
type allowance time.Duration

// spend counts a message at a rate per second, and reports whether it is allowed.
func (a *allowance) spend(now time.Duration, perSecond int) bool {
	cost := allowance(time.Second) / allowance(perSecond)
	paid := max(*a, allowance(now)) + cost
	if paid > allowance(now+time.Second) {
		return false
	}
	*a = paid
	return true
}

// admits counts a message and reports whether it is allowed; the caller holds the lock.
func (c *conn) admits() bool {
	perSecond := c.server.options.MessageRate
	return perSecond == 0 || c.allowance.spend(c.server.wheel.now(), perSecond)
}

// AllowMessage implements Conn.
func (c *conn) AllowMessage() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.admits()
}

// CloseRateLimited implements Conn.
func (c *conn) CloseRateLimited() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(dropRate, c.endpoint.Codes.Rate)
}
