package reconnect

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Layer is a reconnect layer: what a client library does when its connection ends or a handshake fails.
type Layer struct {
	Name string
	// Waits are the times before the first attempts after a loss. After the last one, each wait is Growth times the one
	// before, up to Cap.
	Waits  []Wait
	Growth float64
	// Cap bounds the waits that grow. 0 is no bound.
	Cap time.Duration
	// Attempts is the number of failed attempts after which the layer gives up. 0 is no limit.
	Attempts int
	// EndsAtClose reports that the layer does not come back after the close frame of a drain.
	EndsAtClose bool
	// EndsAtRefusal reports that the layer gives up when a gateway refuses a handshake.
	EndsAtRefusal bool
	// FinalCodes are the close codes after which the layer does not come back, by docs/clients.md. A fleet's drains send
	// none of them unless they are configured to.
	FinalCodes []Codes
}

// Codes are the close codes from First to Last, both included.
type Codes struct{ First, Last int }

// MaxAttempt is the number of attempts whose waits are told apart. The waits of later ones do not grow any more.
const MaxAttempt = 63

// Problem returns what is wrong with the layer and how to mend it, or "".
func (l Layer) Problem() string {
	if len(l.Waits) == 0 || len(l.Waits) > MaxAttempt {
		return fmt.Sprintf("%d waits: give 1 to %d", len(l.Waits), MaxAttempt)
	}
	for _, wait := range l.Waits {
		if problem := wait.Problem(); problem != "" {
			return "delay " + problem
		}
	}
	switch {
	case !(l.Growth >= 1) || math.IsInf(l.Growth, 0):
		return fmt.Sprintf("growth %v: give 1 or more", l.Growth)
	case l.Cap < 0 || l.Cap > MaxWait:
		return fmt.Sprintf("cap %v: give 0s to %v", l.Cap, MaxWait)
	case l.Growth > 1 && l.Cap == 0:
		return "growth without a cap: give one, like cap:30s"
	case l.Attempts < 0:
		return fmt.Sprintf("attempts %d: give 0 or more", l.Attempts)
	}
	return ""
}

// Wait returns the time before an attempt after the number of attempts that failed since the loss.
func (l Layer) Wait(failed int) Wait {
	if failed < len(l.Waits) {
		return l.Waits[failed]
	}
	last := l.Waits[len(l.Waits)-1]
	if l.Growth == 1 {
		return last
	}
	factor := math.Pow(l.Growth, float64(failed-len(l.Waits)+1))
	grown := func(d time.Duration) time.Duration { return time.Duration(min(float64(d)*factor, float64(l.Cap))) }
	return Wait{grown(last.Min), grown(last.Max)}
}

// LongestWait returns the longest time before an attempt.
func (l Layer) LongestWait() time.Duration {
	longest := l.Cap
	for _, wait := range l.Waits {
		longest = max(longest, wait.Max)
	}
	return longest
}

// Settled returns the number of failed attempts from which on the waits do not change any more.
func (l Layer) Settled() int {
	n := len(l.Waits) - 1
	for l.Growth > 1 && n < MaxAttempt && l.Wait(n).Min < l.Cap {
		n++
	}
	return n
}

// EndsAfter reports whether the layer gives up after the number of attempts that failed since the loss. refused says
// that a gateway refused the last handshake.
func (l Layer) EndsAfter(failed int, refused bool) bool {
	return l.Attempts > 0 && failed >= l.Attempts || l.EndsAtRefusal && refused
}

// EndsAt reports whether the layer does not come back after a close frame with a code.
func (l Layer) EndsAt(code int) bool {
	final := func(c Codes) bool { return c.First <= code && code <= c.Last }
	return l.EndsAtClose || slices.ContainsFunc(l.FinalCodes, final)
}
