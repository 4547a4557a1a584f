package fleet

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxSilentScrapes is the maximum number of open requests to gateways of fleets in which a gateway was silent.
	maxSilentScrapes = 8
	// maxFleetScrapes is the maximum number of open requests to the gateways of one fleet.
	maxFleetScrapes = 8
)

// lanes bound what the monitor has open at once. A request to a gateway that does not answer lasts until its timeout,
// so fleets in which a gateway was silent wait for each other in a lane of their own, and not for those that answer.
type lanes struct{ answering, silent *lane }

func newLanes() lanes {
	scraped := &scrapedFleets{keys: map[client.ObjectKey]bool{}}
	return lanes{
		answering: &lane{
			scraped: scraped,
			places:  make(chan struct{}, MaxConcurrentScrapes),
			slots:   NewSlots(),
			waits:   true,
		},
		silent: &lane{
			scraped: scraped,
			places:  make(chan struct{}, maxSilentScrapes),
			slots:   make(Slots, maxSilentScrapes),
		},
	}
}

func (l lanes) of(silent bool) *lane {
	if silent {
		return l.silent
	}
	return l.answering
}

// lane is where fleets are scraped at the same time. Its methods may be called by several goroutines at once.
type lane struct {
	// scraped are the fleets of all lanes.
	scraped *scrapedFleets
	// places has an entry for each fleet in the lane.
	places chan struct{}
	// slots bound the requests of all fleets in the lane.
	slots Slots
	// waits reports whether a fleet waits for a place. Otherwise it is left out of this round.
	waits bool
}

// enter takes a place for the fleet. The result is false when the fleet is being scraped already, or has to be left out
// of this round. enter returns ctx.Err() when ctx ends while it waits.
func (l *lane) enter(ctx context.Context, cluster client.ObjectKey) (bool, error) {
	if !l.scraped.begin(cluster) {
		return false, nil
	}
	if l.waits {
		select {
		case l.places <- struct{}{}:
			return true, nil
		case <-ctx.Done():
			l.scraped.end(cluster)
			return false, ctx.Err()
		}
	}
	select {
	case l.places <- struct{}{}:
		return true, nil
	default:
		l.scraped.end(cluster)
		return false, nil
	}
}

// leave gives the fleet's place back.
func (l *lane) leave(cluster client.ObjectKey) {
	<-l.places
	l.scraped.end(cluster)
}

// scrapedFleets are the fleets that are being scraped.
type scrapedFleets struct {
	// mu guards keys.
	mu   sync.Mutex
	keys map[client.ObjectKey]bool
}

// begin adds the fleet, and reports whether it was not there.
func (s *scrapedFleets) begin(cluster client.ObjectKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys[cluster] {
		return false
	}
	s.keys[cluster] = true
	return true
}

// end removes the fleet.
func (s *scrapedFleets) end(cluster client.ObjectKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, cluster)
}
