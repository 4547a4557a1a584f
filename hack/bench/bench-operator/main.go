// Command bench-operator measures the operator for `make bench-operator` and prints a table. It starts a kube-apiserver
// and an etcd for each measurement, runs the operator against them, and can do the same with an earlier build.
package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/wsfleet/wsfleet/hack/bench/internal/fleetbench"
	"github.com/wsfleet/wsfleet/hack/bench/internal/suite"
)

// The targets. The ratios of the table are to the earlier build, where one is given.
const (
	current  = "operator"
	baseline = "baseline"
)

func main() {
	log.SetLogger(logr.Discard())
	suite.Execute(newRoot())
}

// run are the options of one run of the command.
type run struct {
	suite    suite.Suite
	settings fleetbench.Settings
	// bin has the operator, config its CRD and role. before has all three of an earlier commit, or is empty.
	bin, config, before string
}

func newRoot() *cobra.Command {
	var (
		r    run
		rows []string
	)
	cmd := &cobra.Command{
		Use:   "bench-operator",
		Short: "Measure the operator and print the table",
		Long: "bench-operator starts a kube-apiserver, an etcd and the operator for each row, and prints a table of " +
			"figures.\nThe table reports a missed goal, which is no error.\n\nRows (--rows):\n" + listed(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.suite.Out, r.suite.Progress = cmd.OutOrStdout(), cmd.ErrOrStderr()
			if err := r.choose(rows); err != nil {
				return suite.NewUsageError(err)
			}
			r.suite.Machine = suite.Machine(cmd.Context(), r.bin)
			r.suite.Settings = map[string]string{"rest": r.settings.Rest.String()}
			return r.suite.Run(cmd.Context())
		},
	}
	suite.Prepare(cmd)
	f := cmd.Flags()
	f.SortFlags = false
	f.IntVar(&r.suite.Rounds, "rounds", 1, "how often everything is measured")
	f.StringSliceVar(&rows, "rows", nil, "rows to measure, default all")
	f.IntSliceVar(&r.settings.Sizes, "sizes", []int{10, 100, 1000}, "numbers of clusters; 3000 takes minutes more")
	f.IntVar(&r.settings.Moving, "moving", 200, "number of clusters whose connections change")
	f.DurationVar(&r.settings.Rest, "rest", 30*time.Second, "how long the operator is observed at rest")
	f.DurationVar(&r.settings.Timeout, "timeout", 5*time.Minute, "the maximum time until clusters have converged")
	f.StringVar(&r.bin, "bin", "bin", "`directory` with wsfleet-operator")
	f.StringVar(&r.config, "config", "config", "`directory` with the CRD and the role of this build")
	f.StringVar(&r.settings.Assets, "assets", "bin/k8s", "`directory` with kube-apiserver and etcd")
	f.StringVar(&r.before, "baseline", "", "`directory` with wsfleet-operator, crd and role.yaml of an earlier commit")
	f.StringVar(&r.suite.Output, "output", "bin/bench-operator", "`path` of the result, to which .json and .md are added")
	return cmd
}

// listed describes the rows of the default sizes.
func listed() string {
	rows := fleetbench.Rows(fleetbench.Settings{Sizes: []int{10, 100, 1000}, Moving: 200})
	all := make([][2]string, 0, len(rows))
	for _, row := range rows {
		all = append(all, [2]string{row.Name, row.About})
	}
	return suite.Listed(all)
}

// choose checks the flags and selects targets and rows. It returns an error that names the flag.
func (r *run) choose(names []string) error {
	if r.suite.Rounds < 1 {
		return fmt.Errorf("--rounds %d measures nothing: give 1 or more", r.suite.Rounds)
	}
	for _, n := range r.settings.Sizes {
		if n < 1 {
			return fmt.Errorf("--sizes: %d is no number of clusters", n)
		}
	}
	builds := map[string]fleetbench.Build{
		current: buildOf(r.bin, filepath.Join(r.config, "crd/bases"), filepath.Join(r.config, "rbac/role.yaml")),
	}
	r.suite.Targets = []string{current}
	if r.before != "" {
		builds[baseline] = buildOf(r.before, filepath.Join(r.before, "crd"), filepath.Join(r.before, "role.yaml"))
		r.suite.Targets = []string{baseline, current}
	}
	r.suite.ComparedWith = func(target string) (string, bool) { return current, target == baseline }
	rows, err := suite.Named(fleetbench.Rows(r.settings), func(row fleetbench.Row) string { return row.Name }, names)
	if err != nil {
		return err
	}
	for _, row := range rows {
		r.suite.Rows = append(r.suite.Rows, suite.Row{
			Name:    row.Name,
			Figures: row.Figures,
			Suits:   func(string) bool { return true },
			Run: func(ctx context.Context, target string) (map[string]float64, error) {
				return row.Run(ctx, r.settings, builds[target])
			},
		})
	}
	return nil
}

func buildOf(directory, crds, role string) fleetbench.Build {
	return fleetbench.Build{Binary: filepath.Join(directory, "wsfleet-operator"), CRDs: crds, Role: role}
}
