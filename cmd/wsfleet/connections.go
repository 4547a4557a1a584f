package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// defaultListed is the number of connections that are listed unless a flag says otherwise.
const defaultListed = 100

// connectionOrders are the values of --sort.
var connectionOrders = []string{
	contract.SortAge, contract.SortUser, contract.SortIP, fleetview.SortPod, contract.SortQueued,
}

// connectionFlags are the flags that select and order connections.
type connectionFlags struct {
	user, channel, pod, ip, protocol string
	sort                             string
	limit                            int
	output                           outputFormat
}

func newConnectionsCommand(f *fleetCommand) *cobra.Command {
	var flags connectionFlags
	cmd := &cobra.Command{
		Use:   "connections [CLUSTER]",
		Short: "List the clients of a fleet",
		Long: "List the clients of a fleet, of all gateways together. The gateways select and sort them, so that one user\n" +
			"among thousands is found. With several flags, a connection is listed when it fits all of them.",
		Example: fmt.Sprintf(`  %[1]s connections
  %[1]s connections chat --user alice
  %[1]s connections chat --sort queued --limit 10
  %[1]s connections chat --channel news -o json | jq -r '.items[].id'`, f.program),
		Args:              atMostOneCluster,
		ValidArgsFunction: f.completeClusters,
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return flags.check(cmd) },
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(client *fleetclient.Client) error {
				list, err := listConnections(cmd.Context(), client, args, flags)
				if err != nil {
					return err
				}
				return flags.output.write(cmd.OutOrStdout(), list)
			})
		},
	}
	flags.add(cmd)
	_ = cmd.RegisterFlagCompletionFunc("pod", f.completePodFlag)
	return cmd
}

func (f *connectionFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.user, "user", "", "only connections of this `user`")
	cmd.Flags().StringVar(&f.channel, "channel", "", "only connections that are subscribed to this `channel`")
	cmd.Flags().StringVar(&f.pod, "pod", "", "only connections to this gateway `pod`")
	cmd.Flags().StringVar(&f.ip, "ip", "", "only connections from this `address`, or network such as 10.0.0.0/8")
	cmd.Flags().StringVar(&f.protocol, "protocol", "", "only connections that speak this `protocol`, such as plain")
	cmd.Flags().StringVar(&f.sort, "sort", contract.SortAge,
		"`order`: "+strings.Join(connectionOrders, ", ")+"; the oldest or most queued bytes first")
	cmd.Flags().IntVar(&f.limit, "limit", defaultListed,
		fmt.Sprintf("maximum `number` of connections, up to %d", contract.MaxListed))
	addOutputFlag(cmd, &f.output)
	// Both fail only for a flag that is not defined.
	_ = cmd.RegisterFlagCompletionFunc("sort",
		cobra.FixedCompletions(connectionOrders, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("protocol",
		cobra.FixedCompletions([]string{"centrifuge", "plain"}, cobra.ShellCompDirectiveNoFileComp))
}

// check returns a usageError when a value cannot be used.
func (f *connectionFlags) check(cmd *cobra.Command) error {
	if err := noEmptyValue(cmd, "user", "channel", "pod", "ip", "protocol"); err != nil {
		return err
	}
	_, notAddress := netip.ParseAddr(f.ip)
	_, notNetwork := netip.ParsePrefix(f.ip)
	switch {
	case f.ip != "" && notAddress != nil && notNetwork != nil:
		return usageError{fmt.Errorf("--ip: %q cannot be used: give an address like 192.0.2.7, or a network like "+
			"192.0.2.0/24", f.ip)}
	case !slices.Contains(connectionOrders, f.sort):
		return usageError{fmt.Errorf("--sort: %q cannot be used: give one of %s", f.sort,
			strings.Join(connectionOrders, ", "))}
	case f.limit < 1 || f.limit > contract.MaxListed:
		return usageError{fmt.Errorf("--limit: %d cannot be used: give a number from 1 to %d", f.limit, contract.MaxListed)}
	}
	return nil
}

// noEmptyValue returns a usageError when one of the flags is given without a value, as by a variable of a script that
// is not set: the flag would then select everything.
func noEmptyValue(cmd *cobra.Command, names ...string) error {
	for _, name := range names {
		if flag := cmd.Flags().Lookup(name); flag.Changed && flag.Value.String() == "" {
			return usageError{fmt.Errorf("--%s: the value is empty: give one, or leave the flag out", name)}
		}
	}
	return nil
}

// params returns what the gateways are asked for. Each has to answer with its first connections, because the first
// ones of the fleet may all be on it.
func (f *connectionFlags) params() url.Values {
	params := url.Values{}
	for name, value := range map[string]string{
		contract.ParamUser:     f.user,
		contract.ParamChannel:  f.channel,
		contract.ParamIP:       f.ip,
		contract.ParamProtocol: f.protocol,
		contract.ParamSort:     f.sort,
		contract.ParamLimit:    strconv.Itoa(f.limit),
	} {
		if value != "" {
			params.Set(name, value)
		}
	}
	if f.sort == fleetview.SortPod {
		params.Set(contract.ParamSort, contract.SortAge)
	}
	return params
}

// listConnections returns the connections that flags select. It returns an error when no gateway answers.
func listConnections(
	ctx context.Context, client *fleetclient.Client, args []string, flags connectionFlags,
) (fleetview.ConnectionList, error) {
	cluster, err := chooseClusterOf(ctx, client, args, flags.pod)
	if err != nil {
		return fleetview.ConnectionList{}, err
	}
	gateways, err := client.Gateways(ctx, cluster)
	if err == nil && flags.pod != "" {
		gateways, err = gateways.Only(flags.pod)
	}
	if err != nil {
		return fleetview.ConnectionList{}, err //nolint:wrapcheck // it says what it did
	}
	answers := client.Connections(ctx, gateways, flags.params())
	if ctx.Err() != nil {
		return fleetview.ConnectionList{}, ctx.Err() //nolint:wrapcheck // the user's own interrupt
	}
	list := fleetview.Connections(client.Namespace(), cluster, answers, flags.sort, flags.limit, time.Now())
	if len(answers) > 0 && len(list.Unanswered) == len(answers) {
		return list, fmt.Errorf("no gateway of fleet %s answered: %w", cluster, joinAnswers(answers))
	}
	return list, nil
}

// joinAnswers returns the errors of gateways that did not answer.
func joinAnswers(answers []fleetview.GatewayConnections) error {
	all := make([]error, 0, len(answers))
	for _, answer := range answers {
		all = append(all, answer.Err)
	}
	return errors.Join(all...)
}

// chooseClusterOf is chooseCluster, where a pod may name the fleet too.
func chooseClusterOf(ctx context.Context, client *fleetclient.Client, args []string, pod string) (string, error) {
	if len(args) == 0 && pod != "" {
		return client.ClusterOfPod(ctx, pod) //nolint:wrapcheck // it says what it did
	}
	return chooseCluster(ctx, client, args)
}
