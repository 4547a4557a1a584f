package main

import (
	"cmp"
	"errors"
	"net"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/wsfleet/wsfleet/controllers"
	"github.com/wsfleet/wsfleet/controllers/fleet"
)

// defaultRedisImage is the managed Redis of a release.
const defaultRedisImage = "redis:7.4-alpine"

// addressOff turns an endpoint off where an address is expected, as in controller-runtime.
const addressOff = "0"

// defaultGatewayImage returns the image of the gateway of the operator's own version.
func defaultGatewayImage() string { return "wsfleet/gateway:" + ownVersion() }

// settings are the values of the flags.
type settings struct {
	options          controllers.Options
	flags            *pflag.FlagSet
	watchNamespaces  []string
	metricsAddress   string
	metricsSecure    bool
	healthAddress    string
	pprofAddress     string
	leaderElect      bool
	leaderElectionNS string
	gracefulShutdown time.Duration
	logs             logSettings
	kubernetesQPS    float32
	kubernetesBurst  int
}

// register adds the flags to flags, with s as their target.
func (s *settings) register(flags *pflag.FlagSet) {
	s.flags = flags
	flags.StringVar(&s.options.Images.Gateway, "gateway-image", defaultGatewayImage(),
		"The `image` of gateways whose WebSocketCluster does not set spec.image.")
	flags.StringVar(&s.options.Images.Redis, "redis-image", defaultRedisImage,
		"The `image` of the managed Redis.")
	flags.StringVar(&s.options.OperatorNamespace, "operator-namespace", "",
		"The `namespace` of the operator and the metrics API, whose pods NetworkPolicies let in. "+
			"Default: the namespace in which the operator runs, or all namespaces when it runs outside of the cluster.")
	flags.IntVar(&s.options.MaxConcurrentReconciles, "max-concurrent-reconciles", 4,
		"The maximum `number` of WebSocketClusters that are reconciled at once.")
	flags.IntVar(&s.options.MaxConcurrentUpgrades, "max-concurrent-upgrades", 1,
		"The maximum `number` of fleets whose gateways are replaced at once because the operator was upgraded. A change "+
			"of a spec does not wait.")
	flags.DurationVar(&s.options.ScrapeInterval, "scrape-interval", fleet.DefaultInterval,
		"The `duration` between two scrapes of the gateways' reports. Minimum: 1s.")
	flags.StringSliceVar(&s.watchNamespaces, flagWatchNamespaces, nil,
		"The `namespaces` in which WebSocketClusters are reconciled, separated by commas. Default: all namespaces, or with "+
			"--namespaced the operator's own.")
	flags.BoolVar(&s.options.Namespaced, "namespaced", false,
		"Work with a Role in each of the namespaces and without a ClusterRole. config/namespaced has the Roles; operator.md "+
			"says what such an operator does without.")
	flags.StringVar(&s.metricsAddress, "metrics-bind-address", ":8443",
		"The `address` (host:port) that the metrics endpoint binds to. \"0\" turns the endpoint off.")
	flags.BoolVar(&s.metricsSecure, "metrics-secure", true,
		"Serve the metrics endpoint over TLS, and only to clients that the API server authenticates and authorizes. "+
			"/log-level is served only with it.")
	flags.StringVar(&s.healthAddress, "health-probe-bind-address", ":8081",
		"The `address` (host:port) that /healthz and /readyz bind to. \"0\" turns them off.")
	flags.StringVar(&s.pprofAddress, "pprof-bind-address", addressOff,
		"The `address` (host:port) that /debug/pprof binds to. It has no access control, so bind it to localhost, "+
			"such as 127.0.0.1:6060. \"0\" turns it off.")
	flags.BoolVar(&s.leaderElect, "leader-elect", false,
		"Elect a leader among several operators. Only the leader reconciles.")
	flags.StringVar(&s.leaderElectionNS, "leader-election-namespace", "",
		"The `namespace` of the operator's Leases. Default: the namespace in which the operator runs, or else default.")
	flags.DurationVar(&s.gracefulShutdown, "graceful-shutdown-timeout", 20*time.Second,
		"The maximum `duration` that reconciles in progress have to end when the operator is stopped.")
	flags.Float32Var(&s.kubernetesQPS, "kube-api-qps", 0,
		"The maximum `number` of requests per second to the API server, on average. 0 means no limit: the API server's "+
			"priority and fairness decides.")
	flags.IntVar(&s.kubernetesBurst, "kube-api-burst", 100,
		"The maximum `number` of requests to the API server in a burst, where --kube-api-qps sets a limit.")
	s.logs.register(flags, " A running operator takes another level at PUT /log-level on the metrics endpoint.")
}

// validate returns a usageError that names the flag whose value cannot be used, and nil when all can.
func (s *settings) validate() error {
	switch {
	case s.options.Images.Gateway == "":
		return usagef("--gateway-image is empty: name an image, or leave the flag out")
	case s.options.Images.Redis == "":
		return usagef("--redis-image is empty: name an image, or leave the flag out")
	case s.options.MaxConcurrentReconciles < 1:
		return usagef("--max-concurrent-reconciles is %d: it must be at least 1", s.options.MaxConcurrentReconciles)
	case s.options.MaxConcurrentUpgrades < 1:
		return usagef("--max-concurrent-upgrades is %d: it must be at least 1", s.options.MaxConcurrentUpgrades)
	case s.options.ScrapeInterval < time.Second:
		return usagef("--scrape-interval is %s: it must be at least 1s", s.options.ScrapeInterval)
	case len(validation.IsDNS1123Label(cmp.Or(s.options.OperatorNamespace, "default"))) > 0:
		return usagef("--operator-namespace is %q: it must be the name of a namespace", s.options.OperatorNamespace)
	case s.gracefulShutdown < 0:
		return usagef("--graceful-shutdown-timeout is %s: it must not be negative", s.gracefulShutdown)
	case s.kubernetesQPS < 0:
		return usagef("--kube-api-qps is %g: it must not be negative; 0 means no limit", s.kubernetesQPS)
	case s.kubernetesBurst < 1:
		return usagef("--kube-api-burst is %d: it must be at least 1", s.kubernetesBurst)
	}
	return errors.Join(
		checkNamespaces(s.flags, s.watchNamespaces),
		checkAddress("metrics-bind-address", s.metricsAddress),
		checkAddress("health-probe-bind-address", s.healthAddress),
		checkAddress("pprof-bind-address", s.pprofAddress),
	)
}

// clientLimit returns the rate limit of the client as client-go has it, where 0 would mean a limit of 5.
func (s *settings) clientLimit() (qps float32, burst int) {
	if s.kubernetesQPS == 0 {
		return -1, 0
	}
	return s.kubernetesQPS, s.kubernetesBurst
}

// checkAddress returns a usageError when the flag's address is neither host:port nor addressOff.
func checkAddress(flag, address string) error {
	if address == addressOff {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return usagef("--%s is %q: it must be host:port, such as :8080, or 0 for none", flag, address)
	}
	return nil
}
