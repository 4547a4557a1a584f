package simulate

import (
	"math"
	"math/rand/v2"
)

// random draws the numbers of a simulation. Its draws follow from the seed alone.
type random struct{ *rand.Rand }

func newRandom(seed uint64) random { return random{rand.New(rand.NewPCG(seed, 0x77736669))} }

// exactDraws is the number of draws up to which a sum is drawn one by one. Larger sums are taken from the normal
// distribution of the same mean and variance.
const exactDraws = 24

// binomial returns how many of n succeed with a probability of p each.
func (r random) binomial(n int64, p float64) int64 {
	switch {
	case n <= 0 || p <= 0:
		return 0
	case p >= 1:
		return n
	case n <= exactDraws:
		k := int64(0)
		for range n {
			if r.Float64() < p {
				k++
			}
		}
		return k
	case p > 0.5:
		return n - r.binomial(n, 1-p)
	case float64(n)*p < exactDraws:
		return r.rare(n, p)
	}
	mean := float64(n) * p
	return r.normal(mean, mean*(1-p), 0, n)
}

// rare is binomial for a small mean: it walks along the distribution until it has passed a uniform number.
func (r random) rare(n int64, p float64) int64 {
	odds := p / (1 - p)
	probability := math.Exp(float64(n) * math.Log1p(-p))
	u := r.Float64()
	for k := int64(0); k < n; k++ {
		if u < probability {
			return k
		}
		u -= probability
		probability *= odds * float64(n-k) / float64(k+1)
		if probability < 1e-18 && float64(k) > float64(n)*p {
			return k
		}
	}
	return n
}

// hypergeometric returns how many of n that are drawn without replacement are among the marked of all.
func (r random) hypergeometric(n, marked, all int64) int64 {
	lowest, highest := max(0, n+marked-all), min(n, marked)
	switch {
	case lowest >= highest:
		return highest
	case n <= exactDraws:
		k := int64(0)
		for range n {
			if r.Int64N(all) < marked {
				k, marked = k+1, marked-1
			}
			all--
		}
		return k
	case marked <= exactDraws:
		return r.hypergeometric(marked, n, all)
	}
	p := float64(marked) / float64(all)
	mean := float64(n) * p
	return r.normal(mean, mean*(1-p)*float64(all-n)/float64(all-1), lowest, highest)
}

// normal returns a number near mean, from lowest to highest.
func (r random) normal(mean, variance float64, lowest, highest int64) int64 {
	return min(max(int64(math.Round(mean+math.Sqrt(variance)*r.NormFloat64())), lowest), highest)
}

// spread calls add with the part of n that falls into each of places, 0 to places-1, with equal chances. It leaves out
// places with nothing.
func (r random) spread(n int64, places int, add func(place int, part int64)) {
	if n < int64(places)/2 {
		for range n {
			add(r.IntN(places), 1)
		}
		return
	}
	for place := range places {
		part := n
		if left := places - place; left > 1 {
			part = r.binomial(n, 1/float64(left))
		}
		if part > 0 {
			add(place, part)
		}
		n -= part
	}
}

// between returns a time of the range in slots.
func (r random) between(limits Range) slot {
	first, last := slots(limits.Min), slots(limits.Max)
	return first + slot(r.Int64N(int64(last-first)+1))
}
