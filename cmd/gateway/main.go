// Command wsfleet-gateway is the data plane of wsfleet: it holds WebSocket connections and fans messages out between
// gateways.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/gateway/config"
)

// Exit codes. exitUsage is for a configuration or a command line that cannot be used: a restart does not help.
const (
	exitFailed = 1
	exitUsage  = 2
)

// helpColumns is the width of the output of --help.
const helpColumns = 120

// version is set by the linker in a release.
var version = ""

func main() {
	if err := newRoot().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "wsfleet-gateway: "+err.Error())
		os.Exit(exitCode(err))
	}
}

// usageError is the error of a command line that cannot be used.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[*config.Error](err); ok {
		return exitUsage
	}
	return exitFailed
}

func newRoot() *cobra.Command {
	flags := config.Flags()
	root := &cobra.Command{
		Use:   "wsfleet-gateway",
		Short: "Hold WebSocket connections and fan messages out between gateways",
		Long: `wsfleet-gateway holds WebSocket connections and fans messages out between them and all other gateways
of its fleet. Without flags it serves alone, with its own memory as broker.

Every flag is also a key in the configuration file (max-connections: 10000) and an environment variable
(WSFLEET_MAX_CONNECTIONS). A flag wins over the environment, the environment over the file.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see `wsfleet-gateway --help`", args[0])}
			}
			return nil
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), flags) },
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `wsfleet-gateway --help` for the flags", err)}
	})
	root.SetUsageFunc(wrappedUsage(root.UsageFunc()))
	root.Flags().SortFlags, root.PersistentFlags().SortFlags = false, false
	root.PersistentFlags().AddFlagSet(flags)
	root.AddCommand(newConfig(flags), newDrain(flags), newLogLevel(flags), newVersion())
	return root
}

// wrappedUsage returns a usage function that prints what standard prints, with the flags wrapped to helpColumns. It
// works on the text, because a usage template calls methods by name, and the linker then keeps all exported methods:
// the binary grows by half.
func wrappedUsage(standard func(*cobra.Command) error) func(*cobra.Command) error {
	return func(cmd *cobra.Command) error {
		var usage strings.Builder
		captured := *cmd
		captured.SetOut(&usage)
		if err := standard(&captured); err != nil {
			return err
		}
		text := usage.String()
		for _, flags := range []*pflag.FlagSet{cmd.LocalFlags(), cmd.InheritedFlags()} {
			if plain := strings.TrimSpace(flags.FlagUsages()); plain != "" {
				text = strings.Replace(text, plain, strings.TrimSpace(flags.FlagUsagesWrapped(helpColumns)), 1)
			}
		}
		_, err := fmt.Fprint(cmd.OutOrStderr(), text)
		return err
	}
}

// load reads the configuration for all commands. It returns a *config.Error when the configuration cannot be used.
func load(flags *pflag.FlagSet) (*config.Loaded, error) {
	return config.Load(flags, os.Environ())
}

// releaseVersion returns the version that the linker set, else the one that the Go tool recorded for the module.
func releaseVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
