package suite

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
)

// Exit codes.
const (
	exitFailed = 1
	exitUsage  = 2
)

// UsageError says that the command line cannot be used.
type UsageError struct{ error }

// NewUsageError returns err as a UsageError.
func NewUsageError(err error) error { return UsageError{err} }

// Prepare lets a command without arguments return a UsageError for a command line that cannot be used, and leave the
// printing to Execute.
func Prepare(cmd *cobra.Command) {
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return UsageError{fmt.Errorf("unknown argument %q; see %s --help", args[0], cmd.Name())}
		}
		return nil
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return UsageError{fmt.Errorf("%w; see %s --help", err, cmd.Name())}
	})
}

// Execute runs a command that Prepare has prepared, until it ends or Ctrl-C comes. When it returns an error, Execute
// prints that and ends the process: with 2 after a UsageError, with 1 after any other.
func Execute(cmd *cobra.Command) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := cmd.ExecuteContext(ctx)
	stop()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, cmd.Name()+": "+err.Error())
	if _, usage := errors.AsType[UsageError](err); usage {
		os.Exit(exitUsage)
	}
	os.Exit(exitFailed)
}

// Named returns the elements of all with these names, in the order of all, or all of them without a name. It returns an
// error when a name is unknown.
func Named[E any](all []E, nameOf func(E) string, names []string) ([]E, error) {
	for _, name := range names {
		if !slices.ContainsFunc(all, func(one E) bool { return nameOf(one) == name }) {
			return nil, fmt.Errorf("--rows: no row is called %q; see --help", name)
		}
	}
	if len(names) == 0 {
		return all, nil
	}
	var named []E
	for _, one := range all {
		if slices.Contains(names, nameOf(one)) {
			named = append(named, one)
		}
	}
	return named, nil
}

// Listed returns a line for each name and its description, for the help of a command.
func Listed(all [][2]string) string {
	var out strings.Builder
	for _, one := range all {
		fmt.Fprintf(&out, "  %-14s %s\n", one[0], one[1])
	}
	return out.String()
}
