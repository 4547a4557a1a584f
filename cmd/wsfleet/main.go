// Command wsfleet is the command-line tool for operating wsfleet gateways. `wsfleet load` tests a gateway under load;
// `wsfleet simulate` predicts what events do to the clients of a fleet.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/internal/load"
	"github.com/wsfleet/wsfleet/internal/simulate"
)

// Exit codes: exitFailed of a run that failed, exitUsage of a command line that cannot be used.
const (
	exitFailed = 1
	exitUsage  = 2
)

// version is set with -ldflags -X in a release.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	err := newRootCommand().ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, "wsfleet: "+text)
	}
	os.Exit(exitCode(err))
}

// usageError says that the command line cannot be used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*load.Error](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*simulate.Error](err); ok {
		return exitUsage
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "wsfleet",
		Short: "Tools for wsfleet gateways",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see `wsfleet --help`", args[0])}
			}
			return nil
		},
		RunE:         func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceUsage: true, SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help` for the flags", err, cmd.CommandPath())}
	})
	root.AddCommand(newLoadCommand(), newLoadWorkerCommand(), newSimulateCommand(), newVersionCommand())
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), releaseVersion())
			return err
		},
	}
}

// releaseVersion returns version, or the module's version that Go has recorded in the binary.
func releaseVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
