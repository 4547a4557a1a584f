// Command demo shows wsfleet on a real Kubernetes. It starts a cluster, installs the operator, applies a
// WebSocketCluster and exchanges messages between two WebSocket clients on two gateway pods, through Redis. It also
// prepares the cluster for test/e2e.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// defaultCluster is the Makefile's CLUSTER, too.
const defaultCluster = "local"

type options struct {
	cluster     string
	name        string
	proxyMode   string
	nodes       int
	listen      string
	clientImage bool
	envFile     string
}

func command() *cobra.Command {
	var o options
	root := &cobra.Command{
		Use:           "demo",
		Short:         "Show a fleet of WebSocket gateways on a real Kubernetes",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&o.cluster, "cluster", defaultCluster,
		"local (brought up here, no Docker needed), kind, or current (the current kubeconfig context)")
	flags.StringVar(&o.name, "name", "wsfleet", "name of the cluster, for local and kind")
	flags.StringVar(&o.proxyMode, "proxy-mode", "",
		"mode of kube-proxy, for local: iptables or nftables; default that of the cluster, iptables for a new one")

	flags.IntVar(&o.nodes, "nodes", 0,
		"number of nodes, for local; default that of the cluster, 1 for a new one")

	up := &cobra.Command{
		Use:   "up",
		Short: "Bring up everything, let two clients talk, leave it running",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withEnvironment(cmd.Context(), o,
				func(ctx context.Context, s *environment) error { return s.show(ctx, o.listen) })
		},
	}
	up.Flags().StringVar(&o.listen, "listen", "127.0.0.1:8080",
		"where the fleet is reachable in the end; a free port is taken when this one is in use")

	only := &cobra.Command{
		Use:   "stage",
		Short: "Only bring up the cluster and install the operator",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withEnvironment(cmd.Context(), o,
				func(_ context.Context, s *environment) error { return s.writeEnv(o.envFile) })
		},
	}
	only.Flags().BoolVar(&o.clientImage, "client-image", false, "also load the image of the fleet tests' client")
	only.Flags().StringVar(&o.envFile, "env-file", "",
		"write KUBECONFIG, KUBECTL and the images as shell variables to this file")

	diagnose := &cobra.Command{
		Use:   "diagnose",
		Short: "Print what is on the cluster: pods, events, the operator's log",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newProvider(o)
			if err != nil {
				return err
			}
			return diagnose(cmd.Context(), p)
		},
	}
	down := &cobra.Command{
		Use:   "down",
		Short: "Remove everything that up and stage made",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := newProvider(o)
			if err != nil {
				return err
			}
			return newProgress(os.Stdout).step("remove the cluster", func(note) error { return p.down(cmd.Context()) })
		},
	}
	root.AddCommand(up, only, diagnose, down)
	return root
}

func withEnvironment(ctx context.Context, o options, then func(context.Context, *environment) error) error {
	p, err := newProvider(o)
	if err != nil {
		return err
	}
	s := &environment{provider: p, cluster: o.cluster, progress: newProgress(os.Stdout), withClient: o.clientImage}
	if err := s.bringUp(ctx); err != nil {
		return err
	}
	return then(ctx, s)
}
