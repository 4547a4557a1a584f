package report

import (
	"fmt"
	"io"
)

// Comparison sets the rounds of one figure of this build beside those of an earlier build.
type Comparison struct {
	Figure   string `json:"figure"`
	Target   string `json:"target"`
	Baseline string `json:"baseline"`
	// Ratio is this build's median to the earlier build's.
	Ratio float64 `json:"ratio"`
	// Overlap: the range of this build's rounds has values in common with the range of the earlier build's rounds, so
	// that these rounds show no difference.
	Overlap bool `json:"overlap"`
}

// Compare returns a comparison for each figure that was measured on both targets, in the order of the figures.
func Compare(figures []Figure, summaries []Summary, target, baseline string) []Comparison {
	of := &Report{Summaries: summaries}
	var out []Comparison
	for _, f := range figures {
		now, before := of.summary(f.Key, target), of.summary(f.Key, baseline)
		if now == nil || before == nil {
			continue
		}
		c := Comparison{Figure: f.Name, Target: target, Baseline: baseline}
		c.Overlap = now.Value.Min <= before.Value.Max && before.Value.Min <= now.Value.Max
		if before.Value.Median != 0 {
			c.Ratio = now.Value.Median / before.Value.Median
		}
		out = append(out, c)
	}
	return out
}

// compared writes the comparisons as a table.
func (r *Report) compared(out io.Writer) {
	if len(r.Comparisons) == 0 {
		return
	}
	rows := [][]string{{"figure", "this build", "earlier build", "ratio", "ranges"}}
	for _, c := range r.Comparisons {
		ranges := "overlap"
		if !c.Overlap {
			ranges = "APART"
		}
		rows = append(rows, []string{c.Figure, c.Target, c.Baseline, digits(c.Ratio) + "x", ranges})
	}
	_, _ = fmt.Fprintln(out)
	table(out, rows)
	_, _ = fmt.Fprintln(out)
}
