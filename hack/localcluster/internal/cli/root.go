// Package cli is the command line of localcluster.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

// Exit codes.
const (
	exitFailed     = 1
	exitUsage      = 2
	exitNotRunning = 3
)

// The environment variables that are defaults of flags.
const (
	envName     = "LOCALCLUSTER_NAME"
	envStateDir = "LOCALCLUSTER_STATE_DIR"
	envBinDir   = "LOCALCLUSTER_BIN_DIR"
)

// usageError says that the command line cannot be used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// errNotRunning ends `status` with its exit code and without a message.
var errNotRunning = errors.New("not running")

// app is the state that the commands share.
type app struct {
	name, stateDir, binDir string
}

// Run runs one command line and returns its exit code.
func Run(ctx context.Context, args []string, out, errOut io.Writer) int {
	root := newRoot() //nolint:contextcheck // cobra hands it to the commands
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errNotRunning):
		return exitNotRunning
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(errOut, "localcluster: %v\nSee localcluster --help.\n", err)
		return exitUsage
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(errOut,
			"localcluster: interrupted; `localcluster up` goes on from here, `localcluster down` takes all away")
		return exitFailed
	}
	_, _ = fmt.Fprintf(errOut, "localcluster: %v\n", err)
	return exitFailed
}

func newRoot() *cobra.Command {
	a := &app{}
	root := &cobra.Command{
		Use:   "localcluster",
		Short: "A real Kubernetes on one Linux machine, without Docker",
		Long: `localcluster runs etcd, the Kubernetes control plane, containerd, kubelet, kube-proxy and CoreDNS
as processes of this machine, in a network namespace, a mount namespace and cgroups of their own.
The machine's own network is left as it is: a cluster is reached through forwards on 127.0.0.1.

Exit codes: 0 done; 1 failed; 2 the command line is wrong; 3 status: the cluster is not running.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	flags := root.PersistentFlags()
	flags.StringVar(&a.name, "name", cmp.Or(os.Getenv(envName), cluster.DefaultName),
		"cluster that is meant ($"+envName+")")
	flags.StringVar(&a.stateDir, "state-dir", cmp.Or(os.Getenv(envStateDir), cluster.DefaultStateDir),
		"where clusters are kept ($"+envStateDir+")")
	flags.StringVar(&a.binDir, "bin-dir", os.Getenv(envBinDir),
		"where their binaries are; default bin/k8s in the repository ($"+envBinDir+")")
	root.AddCommand(
		a.binaries(), a.up(), a.down(), a.killNode(), a.startNode(), a.status(), a.logs(), a.kubeconfig(), a.forward(),
		a.loadImage(), a.buildImage(), holdMounts(), forwardWorker(),
	)
	for _, cmd := range append(root.Commands(), root) {
		checked := cmd.Args
		if checked == nil {
			continue
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			if err := checked(cmd, args); err != nil {
				return usageError{fmt.Errorf("%s: %w", cmd.Name(), err)}
			}
			return nil
		}
	}
	return root
}

// cluster returns the cluster that the flags name.
func (a *app) cluster() (*cluster.Cluster, error) {
	return a.clusterNamed(a.name)
}

func (a *app) clusterNamed(name string) (*cluster.Cluster, error) {
	binDir, err := a.findBinDir()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c, err := cluster.New(name, a.stateDir, binDir, self)
	if err != nil {
		return nil, usageError{err}
	}
	return c, c.CheckAccess()
}

func reporter(cmd *cobra.Command) *progress.Reporter { return progress.New(cmd.ErrOrStderr()) }
