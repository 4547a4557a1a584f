package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsfleet/wsfleet/controllers"
)

// leaseName is the lease that operators hold in turns.
const leaseName = "wsfleet-operator"

func newRoot() *cobra.Command {
	var chosen settings
	root := &cobra.Command{
		Use:   "wsfleet-operator",
		Short: "Make WebSocketClusters real in a Kubernetes cluster",
		Long: `wsfleet-operator turns each WebSocketCluster into a fleet of gateways and keeps it whole. It uses
the cluster that it runs in, or else the current context of the kubeconfig.`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("unknown command %q; see `wsfleet-operator --help`", args[0])}
			}
			return nil
		},
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), &chosen)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; see `wsfleet-operator --help`", err)}
	})
	chosen.register(root.Flags())
	root.AddCommand(&cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), ownVersion())
			return err //nolint:wrapcheck // nothing to add
		},
	})
	return root
}

// run operates until the context ends.
func run(ctx context.Context, chosen *settings) error {
	if err := chosen.validate(); err != nil {
		return err
	}
	log, err := chosen.logger()
	if err != nil {
		return err
	}
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	log.Info("Starting", "version", ownVersion(), "gatewayImage", chosen.options.Images.Gateway, "redisImage", chosen.options.Images.Redis)

	mgr, err := newManager(chosen)
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, chosen.options); err != nil {
		return err //nolint:wrapcheck // says what it was doing
	}
	return mgr.Start(ctx) //nolint:wrapcheck // says what it was doing
}

func newManager(chosen *settings) (manager.Manager, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the Kubernetes cluster: %w; run in a cluster, or set KUBECONFIG", err)
	}
	config.QPS, config.Burst = chosen.kubernetesQPS, chosen.kubernetesBurst

	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	cacheOptions, err := controllers.CacheOptions(chosen.watchNamespaces)
	if err != nil {
		return nil, fmt.Errorf("choose what to cache: %w", err)
	}
	metrics := metricsserver.Options{BindAddress: chosen.metricsAddress}
	if chosen.metricsSecure {
		metrics.SecureServing = true
		metrics.FilterProvider = filters.WithAuthenticationAndAuthorization
	}
	mgr, err := ctrl.NewManager(config, manager.Options{
		Scheme:                  scheme,
		Cache:                   cacheOptions,
		Metrics:                 metrics,
		HealthProbeBindAddress:  chosen.healthAddress,
		LeaderElection:          chosen.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: chosen.leaderElectionNS,
		// The process ends with the manager, so the next leader need not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &chosen.gracefulShutdown,
	})
	if err != nil && chosen.leaderElect && chosen.leaderElectionNS == "" {
		return nil, fmt.Errorf("set up the manager: %w (outside of a cluster --leader-elect needs --leader-election-namespace)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("ping", healthz.Ping),
	)
}
