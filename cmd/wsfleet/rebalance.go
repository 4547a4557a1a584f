package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

func newRebalanceCommand(f *fleetCommand) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "rebalance [CLUSTER]",
		Short: "Ask the operator to move clients from full gateways to emptier ones, once",
		Long: "Ask the operator to move clients from gateways that have many more than the average to the others, once,\n" +
			"whatever spec.rebalance.enabled says, and explain what it does next. `status -w` shows how it goes on. The\n" +
			"request means nothing after an hour.",
		Example: fmt.Sprintf(`  %[1]s rebalance
  %[1]s rebalance chat`, f.program),
		Args:              atMostOneCluster,
		ValidArgsFunction: f.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withFleet(cmd.Context(), args, func(client *fleetclient.Client, name string) error {
				cluster, err := client.Rebalance(cmd.Context(), name)
				if err != nil {
					return err //nolint:wrapcheck // it says what it did
				}
				if cluster.Spec.Paused {
					return errors.New("spec.paused is true, so the operator changes nothing: set it to false within an hour")
				}
				observed, err := client.Observe(cmd.Context(), name)
				if err == nil && observed.NotAsked != "" {
					err = errors.New(observed.NotAsked)
				}
				if err != nil {
					return fmt.Errorf("the operator is asked to rebalance; what it does next is not known: %w", err)
				}
				return output.write(cmd.OutOrStdout(), fleetview.Explain(observed))
			})
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}
