package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Report is the result of a run of the benchmark.
type Report struct {
	Started time.Time `json:"started"`
	Seconds float64   `json:"seconds"`
	Machine Machine   `json:"machine"`
	// Settings lists the settings that differ from the default, like "quick".
	Settings     map[string]string `json:"settings"`
	Targets      []string          `json:"targets"`
	Figures      []Figure          `json:"figures"`
	Summaries    []Summary         `json:"summaries"`
	Measurements []Measurement     `json:"measurements"`
	Failures     []Failure         `json:"failures"`
	// Comparisons is set when an earlier build was measured too.
	Comparisons []Comparison `json:"comparisons,omitempty"`
	// Interrupted is set when the user ended the run early.
	Interrupted bool `json:"interrupted"`
}

// Machine describes the machine of a report.
type Machine struct {
	CPU     string `json:"cpu"`
	Cores   int    `json:"cores"`
	Kernel  string `json:"kernel"`
	Go      string `json:"go"`
	Version string `json:"version"`
}

// Failure is a measurement that failed.
type Failure struct {
	Scenario string `json:"scenario"`
	Target   string `json:"target"`
	Round    int    `json:"round"`
	Error    string `json:"error"`
}

// JSON writes the report with all rounds. It returns the error of w.
func (r *Report) JSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Markdown returns the table, and below it the machine and the failures.
func (r *Report) Markdown() string {
	var out strings.Builder
	table(&out, r.rows())
	m := r.Machine
	out.WriteString("\nMedian of the rounds (lowest to highest)")
	if slices.Contains(r.Targets, Floor) {
		out.WriteString("; ratios are to the floor of the same round")
	}
	out.WriteString(". KB are 1,000 bytes.\n")
	fmt.Fprintf(&out, "%s, %d cores, Linux %s, %s, wsfleet %s, %s, %s.\n", m.CPU, m.Cores, m.Kernel, m.Go, m.Version,
		r.Started.UTC().Format(time.DateOnly), time.Duration(r.Seconds*float64(time.Second)).Round(time.Second))
	if len(r.Settings) > 0 {
		fmt.Fprintf(&out, "Settings: %s.\n", r.settings())
	}
	r.compared(&out)
	for _, f := range r.Failures {
		fmt.Fprintf(&out, "FAILED: %s of %s in round %d: %s\n", f.Scenario, f.Target, f.Round, f.Error)
	}
	if r.Interrupted {
		out.WriteString("Interrupted: not all rounds are in.\n")
	}
	return out.String()
}

func (r *Report) settings() string {
	parts := make([]string, 0, len(r.Settings))
	for _, name := range slices.Sorted(maps.Keys(r.Settings)) {
		parts = append(parts, name+" "+r.Settings[name])
	}
	return strings.Join(parts, ", ")
}

// rows returns the table's cells, the header first.
func (r *Report) rows() [][]string {
	head := []string{"figure"}
	for _, target := range r.Targets {
		head = append(head, target)
		if r.hasRatio(target) {
			head = append(head, "ratio")
		}
	}
	rows := append(make([][]string, 0, 1+len(r.Figures)), append(head, "goal", "met"))
	for _, f := range r.Figures {
		row := []string{f.Name}
		var verdicts []string
		for _, target := range r.Targets {
			s := r.summary(f.Key, target)
			row = append(row, s.value(f.Unit))
			if r.hasRatio(target) {
				row = append(row, s.ratio())
			}
			if v := s.verdict(); v != "" {
				verdicts = append(verdicts, target+" "+v)
			}
		}
		rows = append(rows, append(row, f.Goal.text(f.Unit), strings.Join(verdicts, ", ")))
	}
	return rows
}

// hasRatio reports whether the table has the target's ratio to the floor.
func (r *Report) hasRatio(target string) bool {
	return target != Floor && slices.Contains(r.Targets, Floor)
}

func (r *Report) summary(figure, target string) *Summary {
	for i := range r.Summaries {
		if s := &r.Summaries[i]; s.Figure == figure && s.Target == target {
			return s
		}
	}
	return nil
}

func (s *Summary) value(u Unit) string {
	if s == nil {
		return ""
	}
	return s.Value.text(u.Text)
}

func (s *Summary) ratio() string {
	if s == nil || s.Ratio == nil {
		return ""
	}
	return s.Ratio.text(func(v float64) string { return digits(v) + "x" })
}

// verdict says whether the goal is met; empty without a goal.
func (s *Summary) verdict() string {
	switch {
	case s == nil || s.Met == nil:
		return ""
	case *s.Met:
		return "yes"
	default:
		return fmt.Sprintf("MISSED by %s %%", digits(s.Missed*100))
	}
}

func (s Spread) text(of func(float64) string) string {
	if s.Rounds < 2 {
		return of(s.Median)
	}
	return fmt.Sprintf("%s (%s to %s)", of(s.Median), of(s.Min), of(s.Max))
}

// table writes a Markdown table with aligned columns.
func table(out io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for n, row := range rows {
		for i, cell := range row {
			_, _ = fmt.Fprintf(out, "| %s%s ", cell, strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)))
		}
		_, _ = fmt.Fprintln(out, "|")
		if n > 0 {
			continue
		}
		for _, w := range widths {
			_, _ = fmt.Fprintf(out, "|%s", strings.Repeat("-", w+2))
		}
		_, _ = fmt.Fprintln(out, "|")
	}
}
