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
	left := slices.Clone(gateways)
	n = min(n, len(left))
	chosen := make([]Gateway, 0, max(0, n))
	for range n {
		zones := map[string]int{}
		for _, g := range left {
			zones[g.zone()]++
		}
		next := slices.MinFunc(left, func(a, b Gateway) int {
			byZone := 0
			if a.rank() >= rankNotReady {
				byZone = cmp.Compare(zones[b.zone()], zones[a.zone()])
			}
			return cmp.Or(
				cmp.Compare(a.rank(), b.rank()),
				byZone,
				compareBool(a.Reported, b.Reported),
				cmp.Compare(a.connections(), b.connections()),
				b.Pod.CreationTimestamp.Compare(a.Pod.CreationTimestamp.Time),
				cmp.Compare(a.Pod.Name, b.Pod.Name),
			)
		})
		chosen = append(chosen, next)
		left = slices.DeleteFunc(left, func(g Gateway) bool { return g.Pod.UID == next.Pod.UID })
	}
	return chosen
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
