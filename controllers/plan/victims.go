package plan

import (
	"cmp"
	"slices"
)

// rank orders gateways by how little their users notice when they go.
type rank int

const (
	// rankEmpty is a gateway that is not ready and has no client: one that starts, or does not come up. One whose process
	// runs and that does not answer may have some.
	rankEmpty rank = iota
	// rankLeaving is a gateway that drains already.
	rankLeaving
	// rankNotReady is a gateway that takes no new clients.
	rankNotReady
	rankServing
)

func (g Gateway) rank() rank {
	switch {
	case g.leaving():
		return rankLeaving
	case g.ready():
		return rankServing
	case g.connections() == 0 && (g.Reported || !g.runs()):
		return rankEmpty
	}
	return rankNotReady
}

// victims returns the n gateways that go on a scale-in, the first one first: those that are not ready and have no
// client, then those that drain already, those that are not ready, and those that serve. Within a rank, the one with
// the fewest clients goes first, and the newest one of equals. Among gateways that are up, the zones with the most
// gateways lose theirs first, so that the fleet stays spread.
func victims(gateways []Gateway, n int) []Gateway {
	order := inOrder(gateways)
	left := make([]int, len(order))
	for _, c := range order {
		left[c.zone]++
	}
	n = min(n, len(order))
	chosen := make([]Gateway, 0, max(0, n))
	for range n {
		next := -1
		for i := range order {
			switch c := &order[i]; {
			case c.taken:
			case next < 0:
				next = i
			case order[next].rank < rankNotReady, c.rank != order[next].rank:
			case left[c.zone] > left[order[next].zone]:
				next = i
			}
		}
		left[order[next].zone]--
		order[next].taken = true
		chosen = append(chosen, order[next].gateway)
	}
	return chosen
}

// candidate is a gateway that may go, and what it is chosen by.
type candidate struct {
	gateway Gateway
	rank    rank
	// zone is the index of the zone among those of all candidates.
	zone  int
	taken bool
}

// inOrder returns the gateways as candidates, in the order in which they go where zones do not count.
func inOrder(gateways []Gateway) []candidate {
	all, zones := make([]candidate, 0, len(gateways)), map[string]int{}
	for _, g := range gateways {
		zone, known := zones[g.zone()]
		if !known {
			zone = len(zones)
			zones[g.zone()] = zone
		}
		all = append(all, candidate{gateway: g, rank: g.rank(), zone: zone})
	}
	slices.SortFunc(all, func(one, other candidate) int {
		a, b := one.gateway, other.gateway
		return cmp.Or(
			cmp.Compare(one.rank, other.rank),
			compareBool(a.Reported, b.Reported),
			cmp.Compare(a.connections(), b.connections()),
			b.Pod.CreationTimestamp.Compare(a.Pod.CreationTimestamp.Time),
			cmp.Compare(a.Pod.Name, b.Pod.Name),
		)
	})
	return all
}

// compareBool orders what is true first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}
