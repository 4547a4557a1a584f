package loss

import (
	"fmt"
	"testing"
	"time"
)

// tally holds the counters of a run.
type tally struct {
	publications, deliveries          int64
	tries, repeated                   int64
	kills, cuts, reconnects           int
	unsubscribed                      int
	queued                            float64
	restored                          uint64
	maxRestored                       int
	recovered, unrecovered            int
	lost, duplicated, reordered, late int
	corrupted                         int
	endedForGood                      []string
}

func (s tally) String() string {
	return fmt.Sprintf(
		"%d publications in %d calls, of which %d came again; %d deliveries; %d gateways killed, %d connections cut, "+
			"%d reconnects, %d times unsubscribed and back; "+
			"recovered %d times %d publications, up to %d bytes of a channel behind, not recovered %d times; "+
			"%.0f bytes seen waiting in a gateway; "+
			"lost %d, duplicated %d, reordered %d, garbled %d, subscriptions behind at the end %d", s.publications, s.tries,
		s.repeated, s.deliveries, s.kills, s.cuts, s.reconnects, s.unsubscribed, s.recovered, s.restored, s.maxRestored,
		s.unrecovered, s.queued, s.lost, s.duplicated, s.reordered, s.corrupted, s.late)
}

// collectTally waits until every client has the last number of its channels, up to the timeout, and counts.
func collectTally(t *testing.T, all []*listener, p *publisherSet) (s tally) {
	t.Helper()
	for channel := range p.last {
		s.publications += int64(p.last[channel].Load())
	}
	for _, l := range all {
		for channel, b := range l.ledgers {
			b.await(p.last[channel].Load())
		}
	}
	deadline := time.After(timeout)
	for _, l := range all {
		for _, b := range l.ledgers {
			select {
			case <-b.complete:
			case <-deadline:
				// The time is over for the other clients too.
				deadline = closedTimer()
				s.late++
			}
		}
	}
	for _, l := range all {
		l.count(&s)
	}
	return s
}

func closedTimer() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

func (l *listener) count(s *tally) {
	l.mu.Lock()
	s.reconnects += l.connects - 1
	s.endedForGood = append(s.endedForGood, l.ended...)
	l.mu.Unlock()
	for _, b := range l.ledgers {
		b.mu.Lock()
		s.deliveries += int64(b.deliveries)
		s.recovered += b.recovered
		s.unrecovered += b.unrecovered
		s.restored += b.restored
		s.lost += len(b.missing())
		s.duplicated += b.duplicated
		s.reordered += b.reordered
		s.corrupted += b.corrupted
		s.unsubscribed += b.unsubscribed
		s.maxRestored = max(s.maxRestored, b.maxRestored)
		b.mu.Unlock()
	}
}
