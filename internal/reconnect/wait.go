package reconnect

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// MaxWait is the maximum time before an attempt.
const MaxWait = time.Hour

// Wait is the time before an attempt, equally likely from Min to Max.
type Wait struct{ Min, Max time.Duration }

// Draw returns a random time of the wait.
func (w Wait) Draw() time.Duration { return w.Min + rand.N(w.Max-w.Min+1) }

// Problem returns what is wrong with the wait and how to mend it, or "".
func (w Wait) Problem() string {
	if w.Min < 0 || w.Max < w.Min || w.Max > MaxWait {
		return fmt.Sprintf("%v: give a time or two, like 10s or 8s-12s, of at most %v", w, MaxWait)
	}
	return ""
}

// String returns the wait as ParseWait reads it.
func (w Wait) String() string {
	if w.Min == w.Max {
		return w.Min.String()
	}
	return w.Min.String() + "-" + w.Max.String()
}

// ParseWait reads a time like 10s, or two like 8s-12s. It returns an error for other texts.
func ParseWait(text string) (Wait, error) {
	first, last, two := strings.Cut(text, "-")
	if !two {
		last = first
	}
	shortest, err := time.ParseDuration(first)
	longest, err2 := time.ParseDuration(last)
	if err != nil || err2 != nil || shortest > longest || shortest < 0 {
		return Wait{}, fmt.Errorf("%q is no time: give one or two, like 10s or 8s-12s", text)
	}
	return Wait{shortest, longest}, nil
}
