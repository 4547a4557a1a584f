package main

import (
	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/bench/internal/measure"
)

// newPublish returns the command that publishes in a process of its own, so that its CPU time can be measured.
func newPublish() *cobra.Command {
	var count, size int
	cmd := &cobra.Command{
		Use: measure.PublishCommand + " ADDRESS", Hidden: true, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return measure.Publish(cmd.Context(), args[0], count, size)
		},
	}
	cmd.Flags().IntVar(&count, "count", 1, "how many publications")
	cmd.Flags().IntVar(&size, "bytes", 1, "how long each is")
	return cmd
}
