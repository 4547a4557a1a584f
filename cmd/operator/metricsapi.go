package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/component-base/metrics/legacyregistry"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/wsfleet/wsfleet/controllers/metricsapi/server"
)

// metricsAPIShutdown is how long the metrics API may take to end: it goes on serving until no API server asks it.
const metricsAPIShutdown = 25 * time.Second

// metricsAPISettings are the values of the flags of metrics-api.
type metricsAPISettings struct {
	flags             *pflag.FlagSet
	bindAddress       string
	namespace         string
	watchNamespaces   []string
	manageCertificate bool
	logs              logSettings
}

// newMetricsAPI returns the command that serves the custom metrics API.
func newMetricsAPI() *cobra.Command {
	var chosen metricsAPISettings
	command := &cobra.Command{
		Use:   "metrics-api",
		Short: "Serve the connections of fleets to HorizontalPodAutoscalers (custom.metrics.k8s.io)",
		Long: `metrics-api serves custom.metrics.k8s.io: websocket_connections, websocket_connections_max_ratio and
websocket_connect_rate of each WebSocketCluster, and websocket_connections of each gateway's pod. It asks the gateways
when the API server asks it, and keeps no state. It registers itself with the API server unless another server of this
API is registered. Any number of replicas may run.`,
		Args: noArguments("wsfleet-operator metrics-api"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runMetricsAPI(cmd.Context(), &chosen)
		},
	}
	chosen.register(command.Flags())
	return command
}

// register adds the flags to flags, with s as their target.
func (s *metricsAPISettings) register(flags *pflag.FlagSet) {
	s.flags = flags
	flags.StringVar(&s.bindAddress, "bind-address", ":6443",
		"The `address` (host:port) that the API, /livez, /readyz and /metrics bind to.")
	flags.StringVar(&s.namespace, "namespace", "",
		"The `namespace` of the Service and of the Secret with the certificate. Default: the namespace in which the "+
			"metrics API runs.")
	flags.StringSliceVar(&s.watchNamespaces, flagWatchNamespaces, nil,
		"The `namespaces` whose WebSocketClusters have metrics, separated by commas. Default: all namespaces.")
	flags.BoolVar(&s.manageCertificate, "manage-certificate", true,
		"Make the serving certificate, and renew it, in the Secret "+server.SecretName+
			". false leaves the Secret to another program, such as cert-manager.")
	s.logs.register(flags, "")
}

// validate returns a usageError that names the flag whose value cannot be used, and nil when all can.
func (s *metricsAPISettings) validate() error {
	if err := checkNamespaces(s.flags, s.watchNamespaces); err != nil {
		return err
	}
	if _, _, err := net.SplitHostPort(s.bindAddress); err != nil {
		return usagef("--bind-address is %q: it must be host:port, such as :6443", s.bindAddress)
	}
	return nil
}

// runMetricsAPI serves the API until ctx ends. It returns a usageError when a flag is wrong, and an error when the
// cluster is not found, the address cannot be bound, or a part ends before ctx.
func runMetricsAPI(ctx context.Context, chosen *metricsAPISettings) error {
	if err := chosen.validate(); err != nil {
		return err
	}
	log, _, err := chosen.logs.start()
	if err != nil {
		return err
	}
	namespace := cmp.Or(chosen.namespace, ownNamespace(namespaceFile))
	if namespace == "" {
		return usagef("--namespace is empty, and the process does not run in a cluster: name the namespace")
	}
	log.Info("Starting the metrics API", "version", ownVersion(), "namespace", namespace)
	mgr, err := newMetricsAPIManager(namespace, chosen.watchNamespaces, log)
	if err != nil {
		return err
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(ctx, "tcp", chosen.bindAddress)
	if err != nil {
		return fmt.Errorf("bind --bind-address: %w", err)
	}
	if err := server.Setup(mgr, server.Options{
		Namespace:         namespace,
		Listener:          listener,
		ManageCertificate: chosen.manageCertificate,
		Kubeconfig:        os.Getenv("KUBECONFIG"),
		Metrics:           legacyregistry.Registerer(),
	}); err != nil {
		return errors.Join(err, listener.Close())
	}
	return mgr.Start(ctx) //nolint:wrapcheck // the error names the step
}

// newMetricsAPIManager returns a manager for the metrics API. It returns an error when the cluster is not found.
func newMetricsAPIManager(namespace string, watchNamespaces []string, log logr.Logger) (manager.Manager, error) {
	config, err := clusterConfig()
	if err != nil {
		return nil, err
	}
	scheme, err := server.NewScheme()
	if err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	cacheOptions, err := server.CacheOptions(namespace, watchNamespaces)
	if err != nil {
		return nil, fmt.Errorf("choose what to cache: %w", err)
	}
	mgr, err := ctrl.NewManager(config, manager.Options{
		Scheme: scheme,
		Cache:  cacheOptions,
		Logger: log,
		// The API itself serves /metrics, /livez and /readyz.
		Metrics:                 metricsserver.Options{BindAddress: addressOff},
		GracefulShutdownTimeout: new(metricsAPIShutdown),
	})
	if err != nil {
		return nil, fmt.Errorf("set up the manager: %w", err)
	}
	return mgr, nil
}
