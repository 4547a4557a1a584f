package drain

import "time"

// tick is the shortest wait between two closes; below it several connections go together.
const tick = 50 * time.Millisecond

// idle is how soon to look again when there is nobody to close.
const idle = time.Second

// Pace is the timetable of one drain. It is only arithmetic: who asks says what time it is and how
// many connections are left, so that the timetable follows whatever really happens.
type Pace struct {
	// From is when closing begins, Deadline when it must be over.
	From, Deadline time.Time
	// MaxPerSecond bounds the closes per second; 0 leaves them to the deadline.
	MaxPerSecond int
}

// Step is what to do now: close this many, then ask again after Wait, or earlier when something
// changed.
type Step struct {
	Close int
	// Forced: the deadline has passed, and these were left.
	Forced bool
	Wait   time.Duration
}

// Next decides one step. Connections are closed at the steady rate remaining / time left, which
// spreads their return over the whole drain: closing them together would be a reconnect storm.
func (p Pace) Next(now time.Time, remaining int) Step {
	left := p.Deadline.Sub(now)
	switch {
	case now.Before(p.From):
		return Step{Wait: p.From.Sub(now)}
	case left <= 0:
		// A drain without any time closes at once by intent, not because it failed.
		return Step{Close: remaining, Forced: remaining > 0 && p.Deadline.After(p.From), Wait: tick}
	case remaining <= 0:
		// A handshake that was under way when the door closed may still come in.
		return Step{Wait: min(left, idle)}
	}
	gap := left / time.Duration(remaining)
	if p.MaxPerSecond > 0 {
		gap = max(gap, time.Second/time.Duration(p.MaxPerSecond))
	}
	if gap >= tick {
		return Step{Close: 1, Wait: min(gap, left)}
	}
	together := remaining
	if gap > 0 {
		together = min(remaining, int(tick/gap))
	}
	return Step{Close: together, Wait: min(time.Duration(together)*gap, left)}
}
