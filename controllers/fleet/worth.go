package fleet

import "time"

// Connection counts change all the time. A count that is shown is refreshed when it is this old, or
// when the new one is this far away.
const (
	refreshAfter  = 15 * time.Second
	refreshChange = 0.05
)

// worthShowing decides whether what a status shows of the fleet is out of date. What a condition
// could rest on counts at once; mere numbers of clients only when they moved far or it has been a
// while, or the status would become the cluster's loudest writer.
func worthShowing(shown, latest Snapshot, shownFor time.Duration) bool {
	if len(shown.Gateways) != len(latest.Gateways) {
		return true
	}
	counted := false
	for uid, now := range latest.Gateways {
		before, known := shown.Gateways[uid]
		if !known || factsDiffer(before, now) {
			return true
		}
		counted = counted || before.Report.Connections != now.Report.Connections
	}
	return counted && (shownFor >= refreshAfter || movedFar(shown.Connections(), latest.Connections()))
}

func factsDiffer(before, now Gateway) bool {
	a, b := before.Report, now.Report
	return before.Silent != now.Silent ||
		a.State != b.State ||
		a.MaxConnections != b.MaxConnections ||
		a.Broker.Kind != b.Broker.Kind ||
		a.Broker.State != b.Broker.State ||
		CredentialsRefused(a.Broker) != CredentialsRefused(b.Broker) ||
		(a.Drain == nil) != (b.Drain == nil) ||
		a.Drain != nil && !a.Drain.Deadline.Equal(b.Drain.Deadline)
}

func movedFar(before, now int64) bool {
	distance := now - before
	if distance < 0 {
		distance = -distance
	}
	return distance > 0 && float64(distance) >= refreshChange*float64(before)
}
