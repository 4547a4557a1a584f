package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/binaries"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
)

func (a *app) up() *cobra.Command {
	var wanted cluster.Options
	var mode string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Bring a cluster up, or what of it is missing",
		Long: `Builds missing binaries, starts what does not run yet, and returns when pods can be scheduled and names
be resolved. It may be run at any time, also after the machine or the cluster's processes were stopped
without notice: objects in the cluster are kept. With another --proxy-mode than the cluster has, it starts
kube-proxy again in that mode; connections that are open go on. With more --nodes than the cluster has, it
adds them; load images again then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			wanted.ProxyMode = cluster.ProxyMode(mode)
			if err := wanted.Check(); err != nil {
				return usageError{err}
			}
			if err := cluster.CheckMachine(); err != nil {
				return err
			}
			c, err := a.cluster()
			if err != nil {
				return err
			}
			report := reporter(cmd)
			if err := a.ensureBinaries(cmd.Context(), report, binaries.OfCluster()); err != nil {
				return err
			}
			return c.Up(cmd.Context(), wanted, report)
		},
	}
	cmd.Flags().StringVar(&mode, "proxy-mode", "",
		"how kube-proxy sends connections to pods: iptables or nftables; default that of the cluster, iptables for a new one")
	cmd.Flags().IntVar(&wanted.Nodes, "nodes", 0,
		"number of nodes, each in a network of its own; default that of the cluster, 1 for a new one")
	return cmd
}

func (a *app) down() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "down",
		Short: "Take a cluster away with all that it was given",
		Long: `Ends the cluster's processes and containers and removes its namespaces, cgroups and state. The binaries
stay. With the last cluster, kernel settings that kubelet changed are put back.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := cluster.CheckMachine(); err != nil {
				return err
			}
			names := []string{a.name}
			if all {
				names = cluster.Names(a.stateDir)
			}
			report := reporter(cmd)
			var failed error
			for _, name := range names {
				c, err := a.clusterNamed(name)
				if err == nil {
					err = c.Down(cmd.Context(), report)
				}
				if err != nil {
					failed = errors.Join(failed, fmt.Errorf("cluster %s: %w", name, err))
				}
			}
			return errors.Join(failed, cluster.RestoreMachine(a.stateDir))
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "take all clusters away, not only the one that --name says")
	return cmd
}
