package loss

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// maxEvents bounds an eventLog, and maxEventsAfter the events after freeze.
	maxEvents      = 120
	maxEventsAfter = 40
	// maxProblems bounds the problems that are kept of one ledger, and maxExplained the ledgers that are explained.
	maxProblems  = 10
	maxExplained = 5
)

// timedEvent is an event with its time.
type timedEvent struct {
	at   time.Time
	what string
}

func (m timedEvent) String() string { return m.at.Format("15:04:05.000 ") + m.what }

// eventLog keeps the last events, which explain a failure. After freeze it drops no event any more, and takes only some
// further ones.
type eventLog struct {
	mu      sync.Mutex
	moments []timedEvent
	frozen  bool
}

func (s *eventLog) add(format string, args ...any) {
	m := timedEvent{time.Now(), fmt.Sprintf(format, args...)}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.frozen && len(s.moments) == maxEvents+maxEventsAfter:
		return
	case !s.frozen && len(s.moments) == maxEvents:
		s.moments = s.moments[1:]
	}
	s.moments = append(s.moments, m)
}

func (s *eventLog) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen = true
}

// events returns a copy of the kept events.
func (s *eventLog) events() []timedEvent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.moments)
}

// history keeps all events.
type history struct {
	mu      sync.Mutex
	moments []timedEvent
}

func (a *history) add(format string, args ...any) {
	m := timedEvent{time.Now(), fmt.Sprintf(format, args...)}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.moments = append(a.moments, m)
}

// between returns the events from one time to another.
func (a *history) between(from, to time.Time) (out []timedEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, m := range a.moments {
		if !m.at.Before(from) && !m.at.After(to) {
			out = append(out, m)
		}
	}
	return out
}

// explain returns a report of the ledgers with problems, in the order of their first problems. The report of each
// contains the events of the gateways, and of the channel's publisher, in the time of the ledger's log.
func explain(ledgers []*ledger, fleet *history, accepted func(channel int) *history) (lines []string) {
	ledgers = slices.DeleteFunc(slices.Clone(ledgers), func(b *ledger) bool { return !b.hasProblems() })
	slices.SortStableFunc(ledgers, func(a, b *ledger) int { return a.firstProblemAt().Compare(b.firstProblemAt()) })
	for i, b := range ledgers {
		if i == maxExplained {
			return append(lines, fmt.Sprintf("and %d more channels of clients", len(ledgers)-i))
		}
		lines = append(lines, b.summary())
		for _, m := range b.problemList() {
			lines = append(lines, "  wrong: "+m.String())
		}
		for _, m := range mergeByTime(b.log.events(), fleet, accepted(b.channel)) {
			lines = append(lines, "  "+m.String())
		}
	}
	return lines
}

// mergeByTime adds the events of others in the time of events, in order.
func mergeByTime(events []timedEvent, others ...*history) []timedEvent {
	if len(events) == 0 {
		return nil
	}
	from, to := events[0].at, events[len(events)-1].at
	for _, a := range others {
		events = append(events, a.between(from, to)...)
	}
	slices.SortStableFunc(events, func(a, b timedEvent) int { return a.at.Compare(b.at) })
	return events
}
