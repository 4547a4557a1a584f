package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

// The close frame of a disconnected client unless flags say otherwise, and its limits: those of the server API.
const (
	defaultCloseCode   = 3503
	defaultCloseReason = "force disconnect"
	minCloseCode       = 3000
	maxCloseCode       = 4999
	maxCloseReason     = 123
)

// disconnectFlags are the flags of a disconnect.
type disconnectFlags struct {
	user, connection string
	code             int
	reason           string
	revoke           bool
	output           outputFormat
}

func newDisconnectCommand(f *fleetCommand) *cobra.Command {
	var flags disconnectFlags
	cmd := &cobra.Command{
		Use:   "disconnect [CLUSTER] (--user USER | --connection ID)",
		Short: "Close the connections of a user, or one connection",
		Long: "Close the connections of a user on all gateways of a fleet, or one connection. Clients come back after the\n" +
			"codes 3000 to 3499 and 4000 to 4499, and stay away after the others. A user who is to stay away for longer\n" +
			"needs --revoke, or another answer of the backend.",
		Example: fmt.Sprintf(`  %[1]s disconnect chat --user alice
  %[1]s disconnect chat --user alice --revoke --reason "account closed"
  %[1]s disconnect chat --connection 0195f7a2-6d1e-7f3a-9a55-0d4c1b2a3e4f --code 3000`, f.program),
		Args:              atMostOneCluster,
		ValidArgsFunction: f.completeClusters,
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return flags.check(cmd) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withFleet(cmd.Context(), args, func(client *fleetclient.Client, cluster string) error {
				gateways, err := client.Gateways(cmd.Context(), cluster)
				if err != nil {
					return err //nolint:wrapcheck // it says what it did
				}
				command := flags.command(client.Namespace(), cluster)
				if err := client.Disconnect(cmd.Context(), gateways, &command); err != nil {
					return err //nolint:wrapcheck // it names the gateway
				}
				return flags.output.write(cmd.OutOrStdout(), command)
			})
		},
	}
	cmd.Flags().StringVar(&flags.user, "user", "", "all connections of this `user`")
	cmd.Flags().StringVar(&flags.connection, "connection", "", "the connection with this `ID`, which `connections` lists")
	cmd.Flags().IntVar(&flags.code, "code", defaultCloseCode, "`code` of the close frame, from 3000 to 4999")
	cmd.Flags().StringVar(&flags.reason, "reason", defaultCloseReason, "`text` of the close frame")
	cmd.Flags().BoolVar(&flags.revoke, "revoke", false, "refuse all tokens of the user that were issued until now")
	addOutputFlag(cmd, &flags.output)
	return cmd
}

// check returns a usageError when a value cannot be used, and when the flags select no connection.
func (f disconnectFlags) check(cmd *cobra.Command) error {
	if err := noEmptyValue(cmd, "user", "connection"); err != nil {
		return err
	}
	switch {
	case (f.user == "") == (f.connection == ""):
		return usageError{errors.New("give either --user or --connection: a disconnect of all clients is a drain")}
	case f.code < minCloseCode || f.code > maxCloseCode:
		return usageError{fmt.Errorf("--code: %d cannot be used: give a number from %d to %d", f.code, minCloseCode,
			maxCloseCode)}
	case len(f.reason) > maxCloseReason:
		return usageError{fmt.Errorf("--reason: %d bytes are more than the %d that a close frame has room for",
			len(f.reason), maxCloseReason)}
	case f.revoke && f.user == "":
		return usageError{errors.New("--revoke: tokens are a user's: give --user")}
	}
	return nil
}

// command returns the command for a fleet.
func (f disconnectFlags) command(namespace, cluster string) fleetview.Disconnect {
	return fleetview.Disconnect{
		Kind:       fleetview.KindDisconnect,
		Namespace:  namespace,
		Fleet:      cluster,
		User:       f.user,
		Connection: f.connection,
		Code:       f.code,
		Reason:     f.reason,
		Reconnect:  fleetview.ReconnectsAfter(f.code),
		Revoked:    f.revoke,
	}
}
