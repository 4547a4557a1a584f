package plan

import (
	"cmp"
	"slices"
)

// rank orders gateways by how little their users notice when they go.
type rank int

const (
	// rankEmpty is a gateway that is not ready and has no client: one that starts, does not come up, or is lost with its
	// node. One whose process runs and that does not answer may have some.
	rankEmpty rank = iota
	// rankLeaving is a gateway that drains already.
	rankLeaving
	// rankNotReady is a gateway that takes no new clients.
	rankNotReady
	rankServing
)

// String returns the rank in words.
func (r rank) String() string {
	switch r {
	case rankEmpty:
		return "has not come up, and has no clients"
	case rankLeaving:
		return "drains already"
	case rankNotReady:
		return "is not ready"
	default:
		return "serves"
	}
}

func (g Gateway) rank() rank {
	switch {
	case g.onDeadNode():
		return rankEmpty
	case g.leaving():
		return rankLeaving
	case g.ready(), g.sheds():
		return rankServing
	case g.connections() == 0 && (g.Reported || !g.runs()):
		return rankEmpty
	}
	return rankNotReady
}

// Victim is a gateway that goes on a scale-in, and what it is chosen by.
type Victim struct {
	Gateway Gateway
	// Rank says how little the gateway's users notice when it goes, such as "serves".
	Rank string
	// Zone is the zone of the gateway's node, or "" where that is not known.
	Zone string
	// InZone is the number of gateways that its zone has before it goes.
	InZone int
}

// Victims returns the n gateways that go on a scale-in, the first one first: those that are not ready and have no
// client, then those that drain already, those that are not ready, and those that serve. Within a rank, the one with
// the fewest clients goes first, and the newest one of equals. Among gateways that are up, the zones with the most
// gateways lose theirs first, so that the fleet stays spread.
func Victims(gateways []Gateway, n int) []Victim {
	order := inOrder(gateways)
	left := make([]int, len(order))
	for _, c := range order {
		left[c.zone]++
	}
	n = min(n, len(order))
	chosen := make([]Victim, 0, max(0, n))
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
		c := &order[next]
		chosen = append(chosen, Victim{
			Gateway: c.gateway, Rank: c.rank.String(), Zone: c.gateway.zone(), InZone: left[c.zone],
		})
		left[c.zone]--
		c.taken = true
	}
	return chosen
}

// victims returns the gateways of Victims alone.
func victims(gateways []Gateway, n int) []Gateway {
	chosen := Victims(gateways, n)
	all := make([]Gateway, 0, len(chosen))
	for _, victim := range chosen {
		all = append(all, victim.Gateway)
	}
	return all
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
