package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

func (a *app) killNode() *cobra.Command {
	return &cobra.Command{
		Use:   "kill-node NAME",
		Short: "Let a node die: its kubelet and its containers are killed",
		Long: `Kills the kubelet, containerd, kube-proxy and all containers of a node, as if the node had lost its power.
Its network stays up, so that clients see their connections end. The node with the control plane, which is
named like the cluster, can only be stopped with the cluster.`,
		Args: cobra.ExactArgs(1),
		RunE: a.onNode((*cluster.Cluster).KillNode),
	}
}

func (a *app) startNode() *cobra.Command {
	return &cobra.Command{
		Use:   "start-node NAME",
		Short: "Start a node again that was killed",
		Long: `Starts what of a node does not run, and returns when Kubernetes can use the node. Its pods start again,
unless they were deleted meanwhile.`,
		Args: cobra.ExactArgs(1),
		RunE: a.onNode((*cluster.Cluster).StartNode),
	}
}

// onNode returns a command that does something with the node that its argument names.
func (a *app) onNode(
	do func(*cluster.Cluster, context.Context, string, *progress.Reporter) error,
) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := cluster.CheckMachine(); err != nil {
			return err
		}
		c, err := a.cluster()
		if err != nil {
			return err
		}
		return do(c, cmd.Context(), args[0], reporter(cmd))
	}
}
