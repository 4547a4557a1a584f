package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

// stdinData is the DATA argument that stands for standard input.
const stdinData = "-"

// maxStdinBytes is more than a gateway takes, which then says what its limit is.
const maxStdinBytes = 64 << 20

func newPublishCommand(f *fleetCommand) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "publish [CLUSTER] CHANNEL DATA",
		Short: "Publish a message to a channel",
		Long: "Publish a message to the subscribers of a channel on all gateways of a fleet, as the backend does. DATA is\n" +
			"JSON, or - for JSON from standard input.",
		Example: fmt.Sprintf(`  %[1]s publish chat news '{"title": "hello"}'
  %[1]s publish chat news '"a text"'
  %[1]s publish chat news - < message.json`, f.program),
		Args:              channelAndData,
		ValidArgsFunction: f.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			clusterArgs, channel := args[:len(args)-2], args[len(args)-2]
			data, err := readData(cmd.InOrStdin(), args[len(args)-1])
			if err != nil {
				return err
			}
			return f.withFleet(cmd.Context(), clusterArgs, func(client *fleetclient.Client, cluster string) error {
				gateways, err := client.Gateways(cmd.Context(), cluster)
				if err != nil {
					return err //nolint:wrapcheck // it says what it did
				}
				published := fleetview.Published{
					Kind:      fleetview.KindPublished,
					Namespace: client.Namespace(),
					Fleet:     cluster,
					Channel:   channel,
				}
				if err := client.Publish(cmd.Context(), gateways, data, &published); err != nil {
					return err //nolint:wrapcheck // it names the gateway
				}
				return output.write(cmd.OutOrStdout(), published)
			})
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}

// channelAndData refuses anything but a channel and data, after the name of a fleet or without it.
func channelAndData(cmd *cobra.Command, args []string) error {
	if len(args) < 2 || len(args) > 3 {
		return usageError{fmt.Errorf("name a channel and give data, like: %s chat news '{\"title\": \"hello\"}'",
			cmd.CommandPath())}
	}
	return nil
}

// readData returns the JSON that an argument is or stands for. It returns a usageError when the argument is no JSON,
// and another error when standard input is none or cannot be read.
func readData(stdin io.Reader, argument string) (json.RawMessage, error) {
	if argument != stdinData {
		if err := checkJSON("DATA", []byte(argument)); err != nil {
			return nil, usageError{err}
		}
		return json.RawMessage(argument), nil
	}
	data, err := io.ReadAll(io.LimitReader(stdin, maxStdinBytes))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	return data, checkJSON("standard input", data)
}

// checkJSON returns an error that says where data, which a name stands for, is no JSON.
func checkJSON(name string, data []byte) error {
	err := json.Unmarshal(data, new(json.RawMessage))
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("%s is not JSON: byte %d: %w; a text needs quotes, like '\"hello\"'", name, syntax.Offset, syntax)
	}
	return err //nolint:wrapcheck // there is no other
}
