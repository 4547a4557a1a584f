package drain

import "time"

// tick is the shortest time between two steps. Below it, one step closes several connections.
const tick = 50 * time.Millisecond

// idleWait is the time until the next step when there is no connection to close.
const idleWait = time.Second

// longestInterval bounds the time between two closes at a small rate. No drain takes as long.
const longestInterval = 1000 * time.Hour

// Pace is the schedule of one drain. It is pure arithmetic: the caller passes the time and the number of
// connections that are left, so that the schedule follows what really happens.
type Pace struct {
	// From is when closing begins.
	From time.Time
	// Deadline is when all connections must be closing.
	Deadline time.Time
	// MaxPerSecond is the maximum number of connections to close per second; 0 is no limit.
	MaxPerSecond int
	// Rate is the number of connections to close per second; 0 spreads them over the time until the deadline.
	Rate float64
}

// interval returns the time between two closes, with remaining connections that are not closing at the time now, which
// is before the deadline.
func (p Pace) interval(now time.Time, remaining int) time.Duration {
	interval := p.Deadline.Sub(now) / time.Duration(remaining)
	if p.Rate > 0 {
		interval = time.Duration(min(float64(longestInterval), float64(time.Second)/p.Rate))
	}
	if p.MaxPerSecond > 0 {
		interval = max(interval, time.Second/time.Duration(p.MaxPerSecond))
	}
	return interval
}

// PerSecond returns the number of connections that are closed per second once closing has begun, with remaining
// connections that are not closing at the time now. It is 0 from the deadline on, and when none remains.
func (p Pace) PerSecond(now time.Time, remaining int) float64 {
	if remaining <= 0 || !now.Before(p.Deadline) {
		return 0
	}
	if now.Before(p.From) {
		now = p.From
	}
	if interval := p.interval(now, remaining); interval > 0 {
		return 1 / interval.Seconds()
	}
	return float64(remaining)
}

// Left returns for how long connections may still be closed from now on until the deadline.
func (p Pace) Left(now time.Time) time.Duration {
	if now.Before(p.From) {
		now = p.From
	}
	return max(0, p.Deadline.Sub(now))
}

// Step says what to do now.
type Step struct {
	// Close is how many connections to close.
	Close int
	// Forced reports that the deadline has passed.
	Forced bool
	// Wait is the time until the next step.
	Wait time.Duration
}

// Next returns the step for the time now, with remaining connections that are not closing. Without a Rate, the rate is
// remaining divided by the time left, which spreads the clients' reconnects over the whole drain.
func (p Pace) Next(now time.Time, remaining int) Step {
	left := p.Deadline.Sub(now)
	switch {
	case now.Before(p.From):
		return Step{Wait: p.From.Sub(now)}
	case left <= 0:
		// A drain without any time closes at once on purpose, so that is not forced.
		return Step{Close: remaining, Forced: remaining > 0 && p.Deadline.After(p.From), Wait: tick}
	case remaining <= 0:
		// A handshake that was under way when accepting ended may still add a connection.
		return Step{Wait: min(left, idleWait)}
	}
	interval := p.interval(now, remaining)
	if interval >= tick {
		return Step{Close: 1, Wait: min(interval, left)}
	}
	together := remaining
	if interval > 0 {
		together = min(remaining, int(tick/interval))
	}
	return Step{Close: together, Wait: min(time.Duration(together)*interval, left)}
}
