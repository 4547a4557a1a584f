// Package report turns the measurements of hack/bench into a table: medians over the rounds, ratios to the floor of the
// same round, and whether the goals are met.
package report

import "fmt"

// Figure is one row of the table.
type Figure struct {
	// Key is the figure's name in JSON.
	Key  string `json:"key"`
	Name string `json:"name"`
	Unit Unit   `json:"unit"`
	Goal Goal   `json:"goal"`
}

// Unit is the unit of a figure's values, and says how they are written.
type Unit string

// The units. KB are 1,000 bytes.
const (
	Bytes     Unit = "bytes"
	Seconds   Unit = "seconds"
	PerSecond Unit = "per second"
	// PerCore is a number per second and used core.
	PerCore Unit = "per second and core"
	Count   Unit = "count"
	// Share is a share of one core.
	Share Unit = "share of a core"
)

// Goal is the value that a figure should reach. The zero value is no goal.
type Goal struct {
	Kind  GoalKind `json:"kind"`
	Value float64  `json:"value,omitempty"`
	// Target is the target that the goal is for; empty for all.
	Target string `json:"target,omitempty"`
}

// GoalKind says what a goal's value is compared with.
type GoalKind string

// The kinds of goal: for the value itself, and for its ratio to the floor's.
const (
	None    GoalKind = ""
	AtMost  GoalKind = "at most"
	Minimum GoalKind = "at least"
	RatioTo GoalKind = "ratio at most"
	RatioOf GoalKind = "ratio at least"
	// FloorPlus is a difference to the floor's value.
	FloorPlus GoalKind = "floor plus at most"
)

// text returns the goal as the table shows it.
func (g Goal) text(u Unit) string {
	if g.Target != "" {
		return g.Target + " " + g.amount(u)
	}
	return g.amount(u)
}

func (g Goal) amount(u Unit) string {
	switch g.Kind {
	case AtMost:
		return "≤ " + u.Text(g.Value)
	case Minimum:
		return "≥ " + u.Text(g.Value)
	case RatioTo:
		return fmt.Sprintf("≤ %gx", g.Value)
	case RatioOf:
		return fmt.Sprintf("≥ %gx", g.Value)
	case FloorPlus:
		return "≤ floor + " + u.Text(g.Value)
	case None:
	}
	return ""
}

// excess returns the distance of a target from its goal, as a share of the goal. It is positive when the goal is
// missed.
func (g Goal) excess(of Summary) (excess float64, judged bool) {
	switch {
	case g.Target != "" && g.Target != of.Target:
		return 0, false
	case g.Kind == AtMost && g.Value == 0 && of.Value.Rounds > 0:
		return of.Value.Median, true
	case g.Kind == AtMost && of.Value.Rounds > 0:
		return of.Value.Median/g.Value - 1, true
	case g.Kind == Minimum && of.Value.Rounds > 0:
		return 1 - of.Value.Median/g.Value, true
	case of.Ratio == nil:
		return 0, false
	case g.Kind == RatioTo:
		return of.Ratio.Median/g.Value - 1, true
	case g.Kind == RatioOf:
		return 1 - of.Ratio.Median/g.Value, true
	case g.Kind == FloorPlus:
		allowed := of.Value.Median/of.Ratio.Median + g.Value
		return of.Value.Median/allowed - 1, true
	}
	return 0, false
}

// Text formats a value with three significant digits.
func (u Unit) Text(v float64) string {
	switch u {
	case Bytes:
		return scaled(v, []scale{{1e6, "MB"}, {1e3, "KB"}, {1, "B"}})
	case Seconds:
		return scaled(v, []scale{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}})
	case PerSecond, PerCore:
		return scaled(v, []scale{{1e6, "M/s"}, {1e3, "k/s"}, {1, "/s"}})
	case Count:
		return digits(v)
	case Share:
		return digits(v*100) + " %"
	}
	return fmt.Sprintf("%.3g", v)
}

type scale struct {
	size float64
	name string
}

func scaled(v float64, scales []scale) string {
	s := scales[len(scales)-1]
	for _, candidate := range scales {
		if max(v, -v) >= candidate.size {
			s = candidate
			break
		}
	}
	return digits(v/s.size) + " " + s.name
}

// digits formats three significant digits without an exponent.
func digits(v float64) string {
	switch a := max(v, -v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	default:
		return fmt.Sprintf("%.2f", v)
	}
}
