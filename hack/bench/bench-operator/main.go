// Command bench-operator measures the operator for `make bench-operator` and prints a table. It starts a kube-apiserver
// and an etcd for each measurement, runs the operator against them, and can do the same with an earlier build.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/hack/bench/internal/fleetbench"
	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// The targets. The ratios of the table are to the earlier build, where one is given.
const (
	current  = "operator"
	baseline = "baseline"
)

// usageError says that the command line cannot be used.
type usageError struct{ error }

// errFailed means that the table has the failures.
var errFailed = errors.New("not everything could be measured; the table says what not")

func main() {
	log.SetLogger(logr.Discard())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := newRoot().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "bench-operator: "+err.Error())
	if _, usage := errors.AsType[usageError](err); usage {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

// run are the options of one run of the command.
type run struct {
	settings      fleetbench.Settings
	builds        map[string]fleetbench.Build
	targets       []string
	rows          []fleetbench.Row
	rounds        int
	output        string
	out, progress io.Writer
}

func newRoot() *cobra.Command {
	var (
		r           run
		bin, config string
		before      string
		rows        []string
	)
	cmd := &cobra.Command{
		Use:   "bench-operator",
		Short: "Measure the operator and print the table",
		Long: "bench-operator starts a kube-apiserver, an etcd and the operator for each row, and prints a table of " +
			"figures.\nThe table reports a missed goal, which is no error.\n\nRows (--rows):\n" + listed(),
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.out, r.progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if err := r.choose(rows); err != nil {
				return usageError{err}
			}
			r.builds = map[string]fleetbench.Build{current: buildOf(bin, filepath.Join(config, "crd/bases"),
				filepath.Join(config, "rbac/role.yaml"))}
			r.targets = []string{current}
			if before != "" {
				r.targets = []string{baseline, current}
				r.builds[baseline] = buildOf(before, filepath.Join(before, "crd"), filepath.Join(before, "role.yaml"))
			}
			return r.measure(cmd.Context())
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see bench-operator --help", err)}
	})
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&r.rounds, "rounds", 1, "how often everything is measured")
	f.StringSliceVar(&rows, "rows", nil, "rows to measure, default all")
	f.IntSliceVar(&r.settings.Sizes, "sizes", []int{10, 100, 1000}, "numbers of clusters; 3000 takes minutes more")
	f.IntVar(&r.settings.Moving, "moving", 200, "number of clusters whose connections change")
	f.DurationVar(&r.settings.Rest, "rest", 30*time.Second, "how long the operator is observed at rest")
	f.DurationVar(&r.settings.Timeout, "timeout", 5*time.Minute, "the maximum time until clusters have converged")
	f.StringVar(&bin, "bin", "bin", "`directory` with wsfleet-operator")
	f.StringVar(&config, "config", "config", "`directory` with the CRD and the role of this build")
	f.StringVar(&r.settings.Assets, "assets", "bin/k8s", "`directory` with kube-apiserver and etcd")
	f.StringVar(&before, "baseline", "", "`directory` with wsfleet-operator, crd and role.yaml of an earlier commit")
	f.StringVar(&r.output, "output", "bin/bench-operator", "`path` of the result, to which .json and .md are added")
	return cmd
}

// listed describes the rows of the default sizes.
func listed() string {
	var out strings.Builder
	for _, row := range fleetbench.Rows(fleetbench.Settings{Sizes: []int{10, 100, 1000}, Moving: 200}) {
		fmt.Fprintf(&out, "  %-14s %s\n", row.Name, row.About)
	}
	return out.String()
}

func buildOf(directory, crds, role string) fleetbench.Build {
	return fleetbench.Build{Binary: filepath.Join(directory, "wsfleet-operator"), CRDs: crds, Role: role}
}

// choose checks the flags and selects the rows. It returns an error that names the flag.
func (r *run) choose(names []string) error {
	if r.rounds < 1 {
		return fmt.Errorf("--rounds %d measures nothing: give 1 or more", r.rounds)
	}
	for _, n := range r.settings.Sizes {
		if n < 1 {
			return fmt.Errorf("--sizes: %d is no number of clusters", n)
		}
	}
	all := fleetbench.Rows(r.settings)
	for _, name := range names {
		if !slices.ContainsFunc(all, func(row fleetbench.Row) bool { return row.Name == name }) {
			return fmt.Errorf("--rows: no row is called %q; see bench-operator --help", name)
		}
	}
	for _, row := range all {
		if len(names) == 0 || slices.Contains(names, row.Name) {
			r.rows = append(r.rows, row)
		}
	}
	return nil
}

// measure measures all rows and writes the table. It returns errFailed when a measurement failed.
func (r *run) measure(ctx context.Context) error {
	result := &report.Report{
		Started: time.Now(),
		Machine: report.Machine{
			CPU: "this machine", Cores: runtime.NumCPU(), Kernel: kernel(), Go: runtime.Version(), Version: "current",
		},
		Settings:     map[string]string{"rounds": strconv.Itoa(r.rounds), "rest": r.settings.Rest.String()},
		Targets:      r.targets,
		Measurements: []report.Measurement{},
		Failures:     []report.Failure{},
	}
	for _, row := range r.rows {
		result.Figures = append(result.Figures, row.Figures...)
	}
	for round := 1; round <= r.rounds; round++ {
		for _, row := range r.rows {
			for _, target := range r.targets {
				if ctx.Err() == nil {
					r.one(ctx, result, round, row, target)
				}
			}
		}
	}
	result.Interrupted = ctx.Err() != nil
	result.Seconds = time.Since(result.Started).Seconds()
	result.Summaries = report.Summarize(result.Figures, r.targets, result.Measurements)
	if slices.Contains(r.targets, baseline) {
		result.Comparisons = report.Compare(result.Figures, result.Summaries, current, baseline)
	}
	if err := r.write(result); err != nil {
		return err
	}
	if len(result.Failures) > 0 || result.Interrupted {
		return errFailed
	}
	return nil
}

// one measures one row with one build.
func (r *run) one(ctx context.Context, result *report.Report, round int, row fleetbench.Row, target string) {
	started := time.Now()
	_, _ = fmt.Fprintf(r.progress, "round %d/%d  %-14s %-9s ", round, r.rounds, row.Name, target)
	values, err := row.Run(ctx, r.settings, r.builds[target])
	_, _ = fmt.Fprintf(r.progress, "%4v", time.Since(started).Round(time.Second))
	if err != nil {
		_, _ = fmt.Fprintf(r.progress, "  FAILED: %v\n", err)
		result.Failures = append(result.Failures,
			report.Failure{Scenario: row.Name, Target: target, Round: round, Error: err.Error()})
		return
	}
	for _, f := range row.Figures {
		if v, measured := values[f.Key]; measured {
			_, _ = fmt.Fprintf(r.progress, "  %s %s", f.Key, f.Unit.Text(v))
			result.Measurements = append(result.Measurements,
				report.Measurement{Figure: f.Key, Target: target, Round: round, Value: v})
		}
	}
	_, _ = fmt.Fprintln(r.progress)
}

// write prints the table and writes it to a file next to the JSON.
func (r *run) write(result *report.Report) error {
	table := result.Markdown()
	if _, err := fmt.Fprint(r.out, "\n"+table); err != nil {
		return err
	}
	var data bytes.Buffer
	if err := result.JSON(&data); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(r.output), 0o755); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return errors.Join(
		os.WriteFile(r.output+".json", data.Bytes(), 0o600),
		os.WriteFile(r.output+".md", []byte(table), 0o600),
	)
}

// kernel returns the release of the kernel, or unknown.
func kernel() string {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(release))
}
