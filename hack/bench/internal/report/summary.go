package report

import "slices"

// Measurement is one value of one round.
type Measurement struct {
	Figure string  `json:"figure"`
	Target string  `json:"target"`
	Round  int     `json:"round"`
	Value  float64 `json:"value"`
}

// Spread is the median and the range of a value over the rounds.
type Spread struct {
	Rounds int     `json:"rounds"`
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

// Summary is the summary of all rounds of one figure of one target.
type Summary struct {
	Figure string `json:"figure"`
	Target string `json:"target"`
	Value  Spread `json:"value"`
	// Ratio is the ratio to the floor of the same round; nil for the floor itself and when the floor was not measured.
	Ratio *Spread `json:"ratio"`
	// Met says whether the goal is met; nil when there is no goal or no value to compare it with.
	Met *bool `json:"met"`
	// Missed is the share of the goal by which it is missed, 0.1 for a tenth; 0 when it is met.
	Missed float64 `json:"missed"`
}

// Floor is the target that the ratios of the others refer to.
const Floor = "floor"

// Summarize returns a summary for each figure and target, in their order.
func Summarize(figures []Figure, targets []string, all []Measurement) []Summary {
	var out []Summary
	for _, f := range figures {
		floor := values(all, f.Key, Floor)
		for _, target := range targets {
			byRound := values(all, f.Key, target)
			if len(byRound) > 0 {
				out = append(out, summarize(f, target, byRound, floor))
			}
		}
	}
	return out
}

func summarize(f Figure, target string, byRound, floor map[int]float64) Summary {
	s := Summary{Figure: f.Key, Target: target}
	own, ratios := make([]float64, 0, len(byRound)), make([]float64, 0, len(byRound))
	for round, v := range byRound {
		own = append(own, v)
		if floor[round] > 0 {
			ratios = append(ratios, v/floor[round])
		}
	}
	s.Value = spread(own)
	if target == Floor {
		return s
	}
	if len(ratios) > 0 {
		s.Ratio = new(spread(ratios))
	}
	if excess, judged := f.Goal.excess(s); judged {
		s.Met = new(excess <= 0)
		s.Missed = max(0, excess)
	}
	return s
}

func values(all []Measurement, figure, target string) map[int]float64 {
	byRound := map[int]float64{}
	for _, m := range all {
		if m.Figure == figure && m.Target == target {
			byRound[m.Round] = m.Value
		}
	}
	return byRound
}

// spread of at least one value. Of an even number the median is between the two in the middle.
func spread(values []float64) Spread {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	return Spread{Rounds: n, Median: (v[(n-1)/2] + v[n/2]) / 2, Min: v[0], Max: v[n-1]}
}
