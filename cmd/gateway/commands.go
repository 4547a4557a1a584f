package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/admin"
	"github.com/wsfleet/wsfleet/internal/contract"
)

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), releaseVersion())
			return err
		},
	}
}

func newConfig(flags *pflag.FlagSet) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use: "config", Short: "Check the configuration and print what is in effect, secrets redacted", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := load(flags)
			if err != nil {
				return err
			}
			var out []byte
			switch output {
			case "yaml":
				out, err = yaml.Parser().Marshal(loaded.Effective)
			case "json":
				out, err = json.MarshalIndent(loaded.Effective, "", "  ")
				out = append(out, '\n')
			default:
				return usageError{fmt.Errorf("--output %q is not known; use yaml or json", output)}
			}
			if err != nil {
				return fmt.Errorf("print the configuration: %w", err)
			}
			for _, warning := range loaded.Warnings {
				cmd.PrintErrln("warning: " + warning)
			}
			_, err = cmd.OutOrStdout().Write(out)
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "yaml", "`format`: yaml, json")
	return cmd
}

// newDrain is what a pod's preStop hook runs.
func newDrain(flags *pflag.FlagSet) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "drain", Short: "Drain the gateway on this machine and wait until it is done; a pod's preStop hook runs this",
		Long: `drain asks the gateway on this machine, through its private port, to go out of service, and
returns when it has no connection left or its deadline has passed. It reads the same configuration
as the gateway. A drain that is under way is joined.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := load(flags)
			if err != nil {
				return err
			}
			client, err := admin.NewClient(loaded.Config.AdminListen, loaded.Config.AdminTokenDir)
			if err != nil {
				return err
			}
			return client.DrainAndWait(cmd.Context(), contract.DrainRequest{Reason: reason}, time.Second, gateway.CloseTimeout, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "preStop", "why, for logs and the fleet report: a `word`")
	return cmd
}
