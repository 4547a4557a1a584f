// Command wsfleet is the command-line tool for operating wsfleet gateways. `wsfleet load` tests a gateway under load,
// `wsfleet simulate` predicts what events do to the clients of a fleet, and `wsfleet fleet` looks at fleets in a
// Kubernetes cluster. Under the name kubectl-wsc the program is a plugin of kubectl with the commands of
// `wsfleet fleet`.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/internal/load"
	"github.com/wsfleet/wsfleet/internal/simulate"
)

// Exit codes: exitFailed of a run that failed, exitUsage of a command line that cannot be used, exitInterrupted of a
// command that was interrupted while it waited for something that goes on without it.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// Names under which the program is a plugin of kubectl, and completes the command lines of that plugin.
const (
	pluginName   = "kubectl-wsc"
	completeName = "kubectl_complete-wsc"
)

// version is set with -ldflags -X in a release.
var version = ""

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	root := newCommand(os.Args)
	err := root.ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(os.Stderr, root.DisplayName()+": "+text)
	}
	os.Exit(exitCode(err))
}

// newCommand returns the command for the name under which the program was started.
func newCommand(args []string) *cobra.Command {
	switch strings.TrimSuffix(filepath.Base(args[0]), ".exe") {
	case pluginName:
		return newPluginCommand()
	case completeName:
		root := newPluginCommand()
		root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, args[1:]...))
		return root
	}
	return newRootCommand()
}

// interruptedError says that a command was interrupted while it waited.
type interruptedError struct{ text string }

func (e interruptedError) Error() string { return e.text }

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
	if _, ok := errors.AsType[interruptedError](err); ok {
		return exitInterrupted
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "wsfleet",
		Short: "Tools for wsfleet gateways",
		Args:  noSubcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newLoadCommand(), newLoadWorkerCommand(), newSimulateCommand(), newFleetCommand(),
		newVersionCommand())
	prepareRoot(root)
	return root
}

// prepareRoot makes wrong flags usage errors, and leaves printing errors to main.
func prepareRoot(root *cobra.Command) {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `%s --help` for the flags", err, cmd.CommandPath())}
	})
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
