package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/admin"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/loglevel"
)

// drainPollInterval is how often `drain` reads the gateway's report.
const drainPollInterval = time.Second

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), releaseVersion())
			return err
		},
	}
}

func newConfig(flags *pflag.FlagSet) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check the configuration and print the values in effect, with secrets redacted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := load(flags)
			if err != nil {
				return err
			}
			out, err := encode(loaded.Effective, output)
			if err != nil {
				return err
			}
			for _, warning := range loaded.Warnings {
				cmd.PrintErrln("warning: " + warning)
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "yaml", "The output `format`: yaml or json.")
	return cmd
}

// encode returns the values in a format. It returns a usageError when the format is not known.
func encode(values map[string]any, format string) (out []byte, err error) {
	switch format {
	case "yaml":
		out, err = yaml.Parser().Marshal(values)
	case "json":
		out, err = json.MarshalIndent(values, "", "  ")
		out = append(out, '\n')
	default:
		return nil, usageError{fmt.Errorf("--output %q is not known; use yaml or json", format)}
	}
	if err != nil {
		return nil, fmt.Errorf("print the configuration: %w", err)
	}
	return out, nil
}

// newDrain makes the command that a pod's preStop hook runs.
func newDrain(flags *pflag.FlagSet) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Drain the gateway on this machine and wait until it is done; the preStop hook of a pod runs this",
		Long: `drain starts a drain of the gateway on this machine through the private port of that gateway, and
returns when no connection is left or the deadline of the drain has passed. A drain that is already
under way continues. The command reads the same configuration as the gateway.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := newClient(flags)
			if err != nil {
				return err
			}
			request := contract.DrainRequest{Reason: reason}
			return client.DrainAndWait(cmd.Context(), request, drainPollInterval, gateway.CloseTimeout, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "preStop", "The reason of the drain, a `word` for logs and reports.")
	return cmd
}

// newLogLevel makes the command that reads or changes the log level of a running gateway.
func newLogLevel(flags *pflag.FlagSet) *cobra.Command {
	names := loglevel.Names()
	return &cobra.Command{
		Use:   "log-level [LEVEL]",
		Short: "Print or change the log level of the gateway on this machine, without a restart",
		Long: `log-level prints the log level of the gateway on this machine. With an argument it changes the level
first: ` + strings.Join(names, ", ") + `. The new level holds until the next change or until the
gateway ends. The command reads the same configuration as the gateway.`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 && !slices.Contains(names, args[0]) {
				return usageError{fmt.Errorf("give one log level: %s", strings.Join(names, ", "))}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := newClient(flags)
			if err != nil {
				return err
			}
			level := ""
			if len(args) == 0 {
				level, err = client.LogLevel(cmd.Context())
			} else {
				level, err = client.SetLogLevel(cmd.Context(), args[0])
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), level)
			return err
		},
	}
}

// newClient returns a client for the gateway on this machine that has the same configuration. It returns an error when
// the configuration cannot be used.
func newClient(flags *pflag.FlagSet) (*admin.Client, error) {
	loaded, err := load(flags)
	if err != nil {
		return nil, err
	}
	return admin.NewClient(loaded.Config.AdminListen, loaded.Config.AdminTokenDir)
}
