package loss

import (
	"fmt"
	"testing"
	"time"
)

// tally is what a run comes to.
type tally struct {
	publications, deliveries          int64
	tries, repeated                   int64
	kills, cuts, reconnects           int
	left                              int
	queued                            float64
	restored                          uint64
	mostRestored                      int
	recovered, unrecovered            int
	lost, duplicated, reordered, late int
	garbled                           int
	ended                             []string
}

func (s tally) String() string {
	return fmt.Sprintf(
		"%d publications in %d calls, of which %d came again; %d deliveries; %d gateways killed, %d connections cut, %d reconnects, %d times unsubscribed and back; "+
			"recovered %d times %d publications, up to %d bytes of a channel behind, not recovered %d times; %.0f bytes seen waiting in a gateway; "+
			"lost %d, duplicated %d, reordered %d, garbled %d, subscriptions behind at the end %d", s.publications, s.tries,
		s.repeated, s.deliveries, s.kills, s.cuts, s.reconnects, s.left, s.recovered, s.restored, s.mostRestored,
		s.unrecovered, s.queued, s.lost, s.duplicated, s.reordered, s.garbled, s.late)
}

// settle waits until every client has the last number of its channels, but not for ever, and counts.
func settle(t *testing.T, all []*listener, p *press) (s tally) {
	t.Helper()
	for channel := range p.last {
		s.publications += int64(p.last[channel].Load())
	}
	for _, l := range all {
		for channel, b := range l.books {
			b.want(p.last[channel].Load())
		}
	}
	late := time.After(patience)
	for _, l := range all {
		for _, b := range l.books {
			select {
			case <-b.complete:
			case <-late:
				// Whoever else is late is so now.
				late = closed()
				s.late++
			}
		}
	}
	for _, l := range all {
		l.count(&s)
	}
	return s
}

func closed() <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

func (l *listener) count(s *tally) {
	l.mu.Lock()
	s.reconnects += l.connects - 1
	s.ended = append(s.ended, l.ended...)
	l.mu.Unlock()
	for _, b := range l.books {
		b.mu.Lock()
		s.deliveries += int64(b.deliveries)
		s.recovered += b.recovered
		s.unrecovered += b.unrecovered
		s.restored += b.restored
		s.lost += len(b.missing())
		s.duplicated += b.duplicated
		s.reordered += b.reordered
		s.garbled += b.garbled
		s.left += b.left
		s.mostRestored = max(s.mostRestored, b.mostRestored)
		b.mu.Unlock()
	}
}
