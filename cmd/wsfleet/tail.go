package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// tailFlags are the flags of a tail.
type tailFlags struct {
	history int
	pod     string
	output  outputFormat
}

func newTailCommand(f *fleetCommand) *cobra.Command {
	var flags tailFlags
	cmd := &cobra.Command{
		Use:   "tail [CLUSTER] CHANNEL",
		Short: "Print what is published in a channel",
		Long: "Print what is published in a channel, as it comes, until interrupted. It needs no token of a client, is\n" +
			"in no presence and asks no hook. While it runs, the channel counts as occupied on one gateway.",
		Example: fmt.Sprintf(`  %[1]s tail chat news
  %[1]s tail chat news --history 10
  %[1]s tail chat news -o json | jq .data`, f.program),
		Args:              oneChannel,
		ValidArgsFunction: f.completeClusters,
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return flags.check(cmd) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(client *fleetclient.Client) error {
				if err := tailChannel(cmd, client, args[:len(args)-1], args[len(args)-1], flags); cmd.Context().Err() == nil {
					return err
				}
				// An interrupt is how it ends.
				return nil
			})
		},
	}
	cmd.Flags().IntVar(&flags.history, "history", 0,
		fmt.Sprintf("begin with this `number` of the channel's latest publications, up to %d", contract.MaxTailHistory))
	cmd.Flags().StringVar(&flags.pod, "pod", "", "follow the channel on this gateway `pod` (default one that answers)")
	addOutputFlag(cmd, &flags.output)
	_ = cmd.RegisterFlagCompletionFunc("pod", f.completePodFlag)
	return cmd
}

// oneChannel refuses anything but a channel, after the name of a fleet or without it.
func oneChannel(cmd *cobra.Command, args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return usageError{fmt.Errorf("name a channel, like: %s chat news", cmd.CommandPath())}
	}
	return nil
}

// check returns a usageError when a value cannot be used.
func (f tailFlags) check(cmd *cobra.Command) error {
	if f.history < 0 || f.history > contract.MaxTailHistory {
		return usageError{fmt.Errorf("--history: %d cannot be used: give a number from 0 to %d", f.history,
			contract.MaxTailHistory)}
	}
	return noEmptyValue(cmd, "pod")
}

// tailChannel follows a channel until ctx ends.
func tailChannel(
	cmd *cobra.Command, client *fleetclient.Client, clusterArgs []string, channel string, flags tailFlags,
) error {
	ctx := cmd.Context()
	cluster, err := chooseClusterOf(ctx, client, clusterArgs, flags.pod)
	if err != nil {
		return err
	}
	gateways, err := client.Gateways(ctx, cluster)
	if err == nil && flags.pod != "" {
		gateways, err = gateways.Only(flags.pod)
	}
	if err != nil {
		return err //nolint:wrapcheck // it says what it did
	}
	pod, hasAll, err := client.TailGateway(ctx, gateways)
	if err != nil {
		return err //nolint:wrapcheck // it names the gateways
	}
	t := tailWriter{out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(), format: flags.output, pod: pod}
	if !hasAll {
		t.note("the fleet has no backplane: what is published on other gateways is not shown; choose one with --pod")
	}
	return client.Tail(ctx, gateways, pod, channel, flags.history, t.write) //nolint:wrapcheck // it names the gateway
}

// tailWriter writes the lines of a stream.
type tailWriter struct {
	out, errOut io.Writer
	format      outputFormat
	pod         string
}

// note writes a line beside the publications.
func (t tailWriter) note(text string) { _, _ = fmt.Fprintln(t.errOut, text) }

// write writes a publication in the format, and that the stream has begun to the errors. It returns the error of out.
func (t tailWriter) write(line contract.TailLine) error {
	switch {
	case line.Started != nil:
		t.note(fleetview.TailBegins(*line.Started, t.pod))
		return nil
	case line.Publication == nil:
		// A gateway of a later version says something that this program does not know.
		return nil
	}
	publication := fleetview.Publication(*line.Publication)
	if t.format != outputJSON {
		return t.format.write(t.out, publication)
	}
	encoder := json.NewEncoder(t.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(publication) //nolint:wrapcheck // the writer's own error
}
