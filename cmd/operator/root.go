package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/filters"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsfleet/wsfleet/controllers"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// leaseName is the name of the leader election lease.
const leaseName = "wsfleet-operator"

// newRoot returns the root command. Its errors are usageErrors when the command line is wrong.
func newRoot() *cobra.Command {
	var chosen settings
	root := &cobra.Command{
		Use:   "wsfleet-operator",
		Short: "Reconcile the WebSocketClusters of a Kubernetes cluster",
		Long: `wsfleet-operator turns each WebSocketCluster into a fleet of gateways and keeps it in the desired state. It
uses the cluster in which it runs, or else the current context of the kubeconfig.`,
		Args:          noArguments("wsfleet-operator"),
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return run(cmd.Context(), &chosen)
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("%w; see `wsfleet-operator --help`", err)
	})
	chosen.register(root.Flags())
	root.AddCommand(newMetricsAPI(), &cobra.Command{
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

// noArguments returns a check that refuses arguments with a usageError.
func noArguments(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return usagef("unknown command %q; see `%s --help`", args[0], command)
		}
		return nil
	}
}

// run runs the operator until ctx ends. It returns a usageError when a flag is wrong, and an error when the cluster is
// not found or the manager ends before ctx.
func run(ctx context.Context, chosen *settings) error {
	if err := chosen.validate(); err != nil {
		return err
	}
	log, level, err := chosen.logs.start()
	if err != nil {
		return err
	}
	log.Info("Starting", "version", ownVersion(),
		"gatewayImage", chosen.options.Images.Gateway, "redisImage", chosen.options.Images.Redis)

	options, err := chosen.setupOptions(ownNamespace(namespaceFile))
	if err != nil {
		return err
	}
	config, err := clusterConfig()
	if err != nil {
		return err
	}
	go logAPIServer(ctx, config, log)
	if options.Namespaced {
		logNamespaced(log)
		if options.Access, err = controllers.NewNamespaceAccess(ctx, config, options.Namespaces, log); err != nil {
			return err //nolint:wrapcheck // the error names the step
		}
		options.Namespaces = options.Access.Usable()
	}
	mgr, err := newManager(chosen, config, options.Namespaces, metricsOptions(chosen, level, log))
	if err != nil {
		return err
	}
	if err := controllers.Setup(ctx, mgr, options); err != nil {
		return err //nolint:wrapcheck // the error names the step
	}
	return mgr.Start(ctx) //nolint:wrapcheck // the error names the step
}

// setupOptions returns the options of controllers.Setup. It returns a usageError when a namespaced operator has no
// namespace. own is the namespace in which the operator runs, or empty outside of a cluster.
func (s *settings) setupOptions(own string) (controllers.Options, error) {
	options := s.options
	options.OperatorNamespace = cmp.Or(options.OperatorNamespace, own)
	options.Identity = s.identity(options.OperatorNamespace)
	var err error
	options.Namespaces, err = s.fleetNamespaces(options.OperatorNamespace)
	return options, err
}

// namespaceFile has the namespace of the pod in which the operator runs.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ownNamespace returns the namespace in the file, or "" when there is no file because the operator runs outside of the
// cluster.
func ownNamespace(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// metricsOptions returns the options of the metrics endpoint. The log level can be set there only when the endpoint
// authenticates and authorizes its clients.
func metricsOptions(chosen *settings, level *slog.LevelVar, log logr.Logger) metricsserver.Options {
	options := metricsserver.Options{BindAddress: chosen.metricsAddress}
	if chosen.metricsSecure {
		options.SecureServing = true
		options.FilterProvider = filters.WithAuthenticationAndAuthorization
		options.ExtraHandlers = map[string]http.Handler{
			contract.PathLogLevel: levelHandler(level, log),
		}
	}
	return options
}

// managerOptions returns the manager's options that come from flags alone.
func managerOptions(chosen *settings) manager.Options {
	return manager.Options{
		HealthProbeBindAddress:  chosen.healthAddress,
		PprofBindAddress:        chosen.pprofAddress,
		LeaderElection:          chosen.leaderElect,
		LeaderElectionID:        leaseName,
		LeaderElectionNamespace: chosen.leaderElectionNS,
		// The process ends with the manager, so the next leader need not wait until the lease expires.
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &chosen.gracefulShutdown,
	}
}

// clusterConfig returns the configuration of a client of the cluster. It returns an error when no cluster is found.
func clusterConfig() (*rest.Config, error) {
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("find the Kubernetes cluster: %w; run in a cluster, or set KUBECONFIG", err)
	}
	return config, nil
}

// newManager returns a manager with the operator's scheme, endpoints and cache, which has the objects of the
// namespaces. It returns an error when the configuration cannot be used or an endpoint cannot be bound.
func newManager(
	chosen *settings, config *rest.Config, namespaces []string, metrics metricsserver.Options,
) (manager.Manager, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = chosen.clientLimit()

	decodeFilter, err := controllers.NewDecodeFilter(ctrlmetrics.Registry, ctrl.Log.WithName("decode"))
	if err != nil {
		return nil, err //nolint:wrapcheck // the error names the step
	}
	config.Wrap(decodeFilter.Wrap)

	scheme, err := controllers.NewScheme()
	if err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	cacheOptions, err := controllers.CacheOptions(namespaces)
	if err != nil {
		return nil, fmt.Errorf("choose what to cache: %w", err)
	}
	options := managerOptions(chosen)
	options.Scheme, options.Cache, options.Metrics = scheme, cacheOptions, metrics
	options.MapperProvider = controllers.NewMapper
	mgr, err := ctrl.NewManager(config, options)
	if err != nil && chosen.leaderElect && chosen.leaderElectionNS == "" {
		return nil, fmt.Errorf("set up the manager: %w "+
			"(outside of a cluster --leader-elect needs --leader-election-namespace)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, errors.Join(
		mgr.AddHealthzCheck("ping", healthz.Ping),
		mgr.AddReadyzCheck("read", controllers.ReadyCheck(mgr, namespaces)),
	)
}
