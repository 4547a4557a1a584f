// Package suite measures rows in rounds and prints the table, for the commands bench and bench-operator.
package suite

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
)

// Row is a measurement with its figures.
type Row struct {
	Name    string
	Figures []report.Figure
	// Suits reports whether the row makes sense for a target.
	Suits func(target string) bool
	// Run measures a target and returns the values by the keys of their figures.
	Run func(ctx context.Context, target string) (map[string]float64, error)
}

// Suite is one run of a command.
type Suite struct {
	Machine  report.Machine
	Settings map[string]string
	Rounds   int
	Targets  []string
	// ComparedWith returns the target that a baseline is compared with, and whether the target is a baseline.
	ComparedWith func(target string) (current string, isBaseline bool)
	Rows         []Row
	// Output is the path of the result without its extension.
	Output        string
	Out, Progress io.Writer
}

// Errors of Run.
var (
	ErrFailed      = errors.New("not everything could be measured; the table says what not")
	ErrInterrupted = errors.New("interrupted; the table says what was measured until then")
)

// Run measures in rounds, so that a drift of the machine affects all targets equally. In each round it measures the
// targets of a row one after the other. It returns ErrFailed or ErrInterrupted when values are missing in the table.
func (s *Suite) Run(ctx context.Context) error {
	r := &report.Report{
		Started:      time.Now(),
		Machine:      s.Machine,
		Settings:     map[string]string{"rounds": strconv.Itoa(s.Rounds)},
		Targets:      s.Targets,
		Measurements: []report.Measurement{},
		Failures:     []report.Failure{},
	}
	for key, value := range s.Settings {
		r.Settings[key] = value
	}
	for _, row := range s.Rows {
		r.Figures = append(r.Figures, row.Figures...)
	}
	for round := 1; round <= s.Rounds; round++ {
		for _, row := range s.Rows {
			for _, target := range s.Targets {
				if ctx.Err() == nil && row.Suits(target) {
					s.measure(ctx, r, round, row, target)
				}
			}
		}
	}
	r.Interrupted = ctx.Err() != nil
	r.Seconds = time.Since(r.Started).Seconds()
	r.Summaries = report.Summarize(r.Figures, s.Targets, r.Measurements)
	for _, target := range s.Targets {
		if current, isBaseline := s.ComparedWith(target); isBaseline {
			r.Comparisons = append(r.Comparisons, report.Compare(r.Figures, r.Summaries, current, target)...)
		}
	}
	if err := s.write(r); err != nil {
		return err
	}
	switch {
	case r.Interrupted:
		return ErrInterrupted
	case len(r.Failures) > 0:
		return ErrFailed
	}
	return nil
}

// measure measures one row with one target.
func (s *Suite) measure(ctx context.Context, r *report.Report, round int, row Row, target string) {
	started := time.Now()
	_, _ = fmt.Fprintf(s.Progress, "round %d/%d  %-14s %-9s ", round, s.Rounds, row.Name, target)
	values, err := row.Run(ctx, target)
	took := time.Since(started).Round(time.Second)
	switch {
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(s.Progress, "interrupted")
		return
	case err != nil:
		_, _ = fmt.Fprintf(s.Progress, "%4v  FAILED: %v\n", took, err)
		r.Failures = append(r.Failures, report.Failure{Scenario: row.Name, Target: target, Round: round, Error: err.Error()})
		return
	}
	_, _ = fmt.Fprintf(s.Progress, "%4v ", took)
	for _, f := range row.Figures {
		if v, measured := values[f.Key]; measured {
			_, _ = fmt.Fprintf(s.Progress, "  %s %s", f.Key, f.Unit.Text(v))
			r.Measurements = append(r.Measurements, report.Measurement{Figure: f.Key, Target: target, Round: round, Value: v})
		}
	}
	_, _ = fmt.Fprintln(s.Progress)
}

// write prints the table and writes it to a file next to the JSON.
func (s *Suite) write(r *report.Report) error {
	table := r.Markdown()
	if _, err := fmt.Fprint(s.Out, "\n"+table); err != nil {
		return err
	}
	var data bytes.Buffer
	if err := r.JSON(&data); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(s.Output), 0o755); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return errors.Join(
		os.WriteFile(s.Output+".json", data.Bytes(), 0o600),
		os.WriteFile(s.Output+".md", []byte(table), 0o600),
	)
}
