package fleet

import (
	"math"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// The number of connections changes all the time. A published number is replaced when it is refreshAfter old, or at
// once when the new number differs by refreshChange (a fraction of the published one).
const (
	refreshAfter  = 15 * time.Second
	refreshChange = 0.05
	// refreshPaceChange is the fraction by which the pace of a drain changes when it is told another one.
	refreshPaceChange = 0.2
)

// outdated reports whether a status that was made from published has to be made again from latest. published is age
// old. A difference on which a condition could depend counts at once. A difference in the number of connections alone
// is damped, so that the status does not cause most of the cluster's writes.
func outdated(published, latest Snapshot, age time.Duration) bool {
	if len(published.Gateways) != len(latest.Gateways) {
		return true
	}
	moved := false
	for uid, now := range latest.Gateways {
		before, known := published.Gateways[uid]
		if !known || factsDiffer(before, now) {
			return true
		}
		moved = moved || before.Report.Connections != now.Report.Connections
	}
	return moved && (age >= refreshAfter || movedFar(published.Connections(), latest.Connections()))
}

// factsDiffer reports whether the two reports of one gateway differ in anything but numbers of clients.
func factsDiffer(before, now Gateway) bool {
	a, b := before.Report, now.Report
	return before.Stale != now.Stale ||
		Refuses(a) != Refuses(b) ||
		a.State != b.State ||
		a.MaxConnections != b.MaxConnections ||
		a.Broker.Kind != b.Broker.Kind ||
		a.Broker.State != b.Broker.State ||
		a.Broker.Reason != b.Broker.Reason ||
		(a.Drain == nil) != (b.Drain == nil) ||
		a.Drain != nil && (!a.Drain.Deadline.Equal(b.Drain.Deadline) || paceDiffers(a.Drain, b.Drain))
}

// paceDiffers reports whether a drain has another pace, and not only other numbers of connections and seconds left.
func paceDiffers(before, now *contract.DrainReport) bool {
	return math.Abs(now.ClosesPerSecond-before.ClosesPerSecond) > refreshPaceChange*before.ClosesPerSecond
}

// movedFar reports whether now differs from before by at least refreshChange of before.
func movedFar(before, now int64) bool {
	distance := now - before
	if distance < 0 {
		distance = -distance
	}
	return distance > 0 && float64(distance) >= refreshChange*float64(before)
}
