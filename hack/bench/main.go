// Command bench measures the gateway and the floor, a reference server, for `make bench`. It starts the servers, runs
// `wsfleet load` against each in turn, and prints a table.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/bench/internal/measure"
	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// usageError says that the command line cannot be used.
type usageError struct{ error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "bench: "+err.Error())
	if _, usage := errors.AsType[usageError](err); usage {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

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
` + listed(rowsAbout()) + `
Targets (--targets):
` + listed(server.Targets()) + `
The table reports a missed goal, which is no error. Exit codes: 0 measured; 1 something could not be measured,
or Ctrl-C; 2 the command line is wrong.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown argument %q; see bench --help", args[0])}
			}
			return nil
		},
		SilenceUsage:  true,
		SilenceErrors: true,
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
				return usageError{err}
			}
			return b.run(cmd.Context())
		},
	}
	cmd.AddCommand(newPublish())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see bench --help", err)}
	})
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

func listed(all [][2]string) string {
	var out strings.Builder
	for _, one := range all {
		fmt.Fprintf(&out, "  %-14s %s\n", one[0], one[1])
	}
	return out.String()
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
	all := measure.Scenarios()
	for _, row := range rows {
		if !slices.ContainsFunc(all, func(s measure.Scenario) bool { return s.Name == row }) {
			return fmt.Errorf("--rows: no row is called %q; see bench --help", row)
		}
	}
	for _, s := range all {
		// A row with the floor alone has no ratio.
		useful := slices.ContainsFunc(b.targets,
			func(target string) bool { return s.For(target) && (target != report.Floor || len(b.targets) == 1) })
		if useful && (len(rows) == 0 || slices.Contains(rows, s.Name)) {
			b.scenarios = append(b.scenarios, s)
		}
	}
	if len(b.scenarios) == 0 {
		return fmt.Errorf("--rows: %s cannot be measured on %s; add redis to --targets", strings.Join(rows, ", "),
			strings.Join(b.targets, ", "))
	}
	return nil
}
