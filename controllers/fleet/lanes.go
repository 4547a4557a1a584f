package fleet

import (
	"context"

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
	scraped := &Set{}
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
	scraped *Set
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
	if !l.scraped.Add(cluster) {
		return false, nil
	}
	if l.waits {
		select {
		case l.places <- struct{}{}:
			return true, nil
		case <-ctx.Done():
			l.scraped.Remove(cluster)
			return false, ctx.Err()
		}
	}
	select {
	case l.places <- struct{}{}:
		return true, nil
	default:
		l.scraped.Remove(cluster)
		return false, nil
	}
}

// leave gives the fleet's place back.
func (l *lane) leave(cluster client.ObjectKey) {
	<-l.places
	l.scraped.Remove(cluster)
}
