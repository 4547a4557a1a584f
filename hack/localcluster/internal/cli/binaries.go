package cli

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/binaries"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

func (a *app) binaries() *cobra.Command {
	return &cobra.Command{
		Use:   "binaries [NAME...]",
		Short: "Build what clusters are made of, as far as it is missing or outdated",
		Long: `Builds the named binaries, or all of a cluster, from pinned Go modules into --bin-dir. What is there and was
built from the same modules, with the same flags and the same Go, stays as it is. oldest/kube-apiserver is that of the
oldest Kubernetes that wsfleet supports; tests need it, and no cluster. prometheus, prometheus-adapter, keda and
keda-adapter run in a cluster, in the tests of other autoscalers.`,
		Example: "  localcluster binaries kube-apiserver etcd kubectl oldest/kube-apiserver",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			all := binaries.All()
			names := make([]string, len(all))
			for i, b := range all {
				names[i] = b.Name
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, names []string) error {
			wanted, err := binaries.Named(names...)
			if err != nil {
				return usageError{err}
			}
			return a.ensureBinaries(cmd.Context(), reporter(cmd), wanted)
		},
	}
}

func (a *app) ensureBinaries(ctx context.Context, report *progress.Reporter, wanted []binaries.Binary) error {
	binDir, err := a.findBinDir()
	if err != nil {
		return err
	}
	repository, err := findRepository()
	if err != nil {
		return err
	}
	builder := &binaries.Builder{Source: filepath.Join(repository, modulesBelow), BinDir: binDir, Report: report}
	return builder.Ensure(ctx, wanted)
}
