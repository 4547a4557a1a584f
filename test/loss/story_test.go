package loss

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// mostTold bounds a story, and toldAfter what is told after something went wrong.
	mostTold  = 120
	toldAfter = 40
	// mostWrong is how much of what went wrong in one channel of a client is told, and mostExplained of
	// how many the story is.
	mostWrong     = 10
	mostExplained = 5
)

// moment is when something happened.
type moment struct {
	at   time.Time
	what string
}

func (m moment) String() string { return m.at.Format("15:04:05.000 ") + m.what }

// story is what happened lately, for who has to explain what went wrong. A story in which something did
// is kept: it goes on for a little, and forgets nothing any more.
type story struct {
	mu      sync.Mutex
	moments []moment
	kept    bool
}

func (s *story) tell(format string, args ...any) {
	m := moment{time.Now(), fmt.Sprintf(format, args...)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.kept && len(s.moments) == mostTold+toldAfter:
		return
	case !s.kept && len(s.moments) == mostTold:
		s.moments = s.moments[1:]
	}
	s.moments = append(s.moments, m)
}

func (s *story) keep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = true
}

// told is the story so far.
func (s *story) told() []moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.moments)
}

// annals are what happened from the first to the last, and not only lately.
type annals struct {
	mu      sync.Mutex
	moments []moment
}

func (a *annals) tell(format string, args ...any) {
	m := moment{time.Now(), fmt.Sprintf(format, args...)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moments = append(a.moments, m)
}

// between is what happened in a time.
func (a *annals) between(from, to time.Time) (out []moment) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.moments {
		if !m.at.Before(from) && !m.at.After(to) {
			out = append(out, m)
		}
	}
	return out
}

// explain tells of the books in which something went wrong, those first in which it did so first. Each
// story has what happened meanwhile to the gateways, and to the channel at its publisher.
func explain(books []*book, fleet *annals, published func(channel int) *annals) (lines []string) {
	books = slices.DeleteFunc(slices.Clone(books), func(b *book) bool { return !b.isWrong() })
	slices.SortStableFunc(books, func(a, b *book) int { return a.wrongAt().Compare(b.wrongAt()) })
	for i, b := range books {
		if i == mostExplained {
			return append(lines, fmt.Sprintf("and %d more channels of clients", len(books)-i))
		}
		lines = append(lines, b.summary())
		for _, m := range b.blamed() {
			lines = append(lines, "  wrong: "+m.String())
		}
		for _, m := range around(b.story.told(), fleet, published(b.channel)) {
			lines = append(lines, "  "+m.String())
		}
	}
	return lines
}

// around is a story with what else happened in its time.
func around(told []moment, others ...*annals) []moment {
	if len(told) == 0 {
		return nil
	}
	from, to := told[0].at, told[len(told)-1].at
	for _, a := range others {
		told = append(told, a.between(from, to)...)
	}
	slices.SortStableFunc(told, func(a, b moment) int { return a.at.Compare(b.at) })
	return told
}
