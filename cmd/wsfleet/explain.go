package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

func newExplainCommand(f *fleetCommand) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "explain [CLUSTER]",
		Short: "Explain a fleet's size and what the operator does next with its gateways",
		Long: "Explain why a fleet has its size, what the operator does next and why it does not do more at once, and in\n" +
			"which order gateways would go if the fleet became smaller. The decisions are computed as the operator does,\n" +
			"from what is observed now.",
		Example: fmt.Sprintf(`  %[1]s explain
  %[1]s explain chat -o yaml`, f.program),
		Args:              atMostOneCluster,
		ValidArgsFunction: f.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withFleet(cmd.Context(), args, func(client *fleetclient.Client, name string) error {
				observed, err := client.Observe(cmd.Context(), name)
				if err != nil {
					return err //nolint:wrapcheck // it says what it did
				}
				if observed.NotAsked != "" {
					return fmt.Errorf("the operator plans by the reports of gateways, and they could not be asked: %s",
						observed.NotAsked)
				}
				return output.write(cmd.OutOrStdout(), fleetview.Explain(observed))
			})
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}
