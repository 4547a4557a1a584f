// Command bench measures the gateway and the floor, a reference server, for `make bench`. It starts the servers, runs
// `wsfleet load` against each in turn, and prints a table.
package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/bench/internal/measure"
	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
	"github.com/wsfleet/wsfleet/hack/bench/internal/suite"
)

func main() { suite.Execute(newRoot()) }

func newRoot() *cobra.Command {
	b := &bench{settings: measure.Full()}
	var rows []string
	var quick bool
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure the gateway against a floor and print the table",
		Long: "bench starts the servers one after the other, runs `wsfleet load` against each, and prints a table of\n" +
			`figures: the median of all rounds, the lowest and the highest, and the ratio to the floor of the same round.

Rows (--rows):
` + suite.Listed(rowsAbout()) + `
Targets (--targets):
` + suite.Listed(server.Targets()) + `
The table reports a missed goal, which is no error. Exit codes: 0 measured; 1 something could not be measured,
or Ctrl-C; 2 the command line is wrong.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if quick {
				b.settings = measure.Quick()
			}
			b.settings.Bin, b.settings.Baseline = b.bin, b.baseline
			b.out, b.progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
			b.given = map[string]string{}
			if quick {
				b.given["quick"] = "(no result)"
			}
			if err := b.choose(rows); err != nil {
				return suite.NewUsageError(err)
			}
			return b.run(cmd.Context())
		},
	}
	cmd.AddCommand(newPublish())
	suite.Prepare(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&b.rounds, "rounds", 3, "how often everything is measured")
	f.StringSliceVar(&rows, "rows", nil, "rows to measure, default all")
	f.StringSliceVar(&b.targets, "targets", []string{server.Floor, server.Memory, server.Redis}, "what to measure")
	f.BoolVar(&quick, "quick", false, "small and short: shows that everything runs, gives no results")
	f.StringVar(&b.bin, "bin", "bin", "`directory` with the binaries")
	f.StringVar(&b.baseline, "baseline", "",
		"`directory` with the wsfleet-gateway of an earlier commit, for the targets baseline-memory and baseline-redis")
	f.StringVar(&b.output, "output", "bin/bench", "`path` of the result, to which .json and .md are added")
	return cmd
}

func rowsAbout() [][2]string {
	scenarios := measure.Scenarios()
	all := make([][2]string, 0, len(scenarios))
	for _, s := range scenarios {
		all = append(all, [2]string{s.Name, s.About})
	}
	return all
}

// choose checks the flags and selects rows and targets.
func (b *bench) choose(rows []string) error {
	if b.rounds < 1 {
		return fmt.Errorf("--rounds %d measures nothing: give 1 or more", b.rounds)
	}
	for _, target := range b.targets {
		if err := server.Known(target); err != nil {
			return fmt.Errorf("--targets: %w", err)
		}
		if _, isBaseline := server.ComparedWith(target); isBaseline && b.baseline == "" {
			return fmt.Errorf("--targets: %s needs --baseline, the directory of that gateway", target)
		}
	}
	if !slices.Contains(b.targets, report.Floor) {
		b.targets = append([]string{report.Floor}, b.targets...)
	}
	named, err := suite.Named(measure.Scenarios(), func(s measure.Scenario) string { return s.Name }, rows)
	if err != nil {
		return err
	}
	for _, s := range named {
		// A row with the floor alone has no ratio.
		useful := slices.ContainsFunc(b.targets,
			func(target string) bool { return s.For(target) && (target != report.Floor || len(b.targets) == 1) })
		if useful {
			b.scenarios = append(b.scenarios, s)
		}
	}
	if len(b.scenarios) == 0 {
		return fmt.Errorf("--rows: %s cannot be measured on %s; add redis to --targets", strings.Join(rows, ", "),
			strings.Join(b.targets, ", "))
	}
	return nil
}
