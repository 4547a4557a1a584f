package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/controllers"
	"github.com/wsfleet/wsfleet/controllers/fleet"
)

// defaultRedisImage is the managed Redis of a release.
const defaultRedisImage = "redis:7.4-alpine"

// defaultGatewayImage is the gateway of the operator's own version.
func defaultGatewayImage() string { return "wsfleet/gateway:" + ownVersion() }

// settings are what the command line says.
type settings struct {
	options          controllers.Options
	watchNamespaces  []string
	metricsAddress   string
	metricsSecure    bool
	healthAddress    string
	leaderElect      bool
	leaderElectionNS string
	gracefulShutdown time.Duration
	logLevel         string
	logFormat        string
	kubernetesQPS    float32
	kubernetesBurst  int
}

func (s *settings) register(flags *pflag.FlagSet) {
	flags.StringVar(&s.options.Images.Gateway, "gateway-image", defaultGatewayImage(),
		"`image` of gateways whose WebSocketCluster names none")
	flags.StringVar(&s.options.Images.Redis, "redis-image", defaultRedisImage, "`image` of managed Redis")
	flags.IntVar(&s.options.MaxConcurrentReconciles, "max-concurrent-reconciles", 4,
		"how `many` WebSocketClusters are worked on at once")
	flags.DurationVar(&s.options.ScrapeInterval, "scrape-interval", fleet.DefaultInterval,
		"`duration` between two looks at the gateways")
	flags.StringSliceVar(&s.watchNamespaces, "watch-namespaces", nil,
		"`namespaces` whose WebSocketClusters count, separated by commas. Unset: all")
	flags.StringVar(&s.metricsAddress, "metrics-bind-address", ":8443", "`address` of /metrics, host:port; 0 turns it off")
	flags.BoolVar(&s.metricsSecure, "metrics-secure", true,
		"serve /metrics over TLS, and only to callers whom the API server lets get that path")
	flags.StringVar(&s.healthAddress, "health-probe-bind-address", ":8081", "`address` of /healthz and /readyz, host:port; 0 turns them off")
	flags.BoolVar(&s.leaderElect, "leader-elect", false, "let only one of several operators work at a time")
	flags.StringVar(&s.leaderElectionNS, "leader-election-namespace", "",
		"`namespace` of the leader's lease. Unset: the operator's own")
	flags.DurationVar(&s.gracefulShutdown, "graceful-shutdown-timeout", 20*time.Second,
		"`duration` that a write under way has when the operator is told to end")
	flags.Float32Var(&s.kubernetesQPS, "kube-api-qps", 50, "requests per second to the API server, on average: a `number`")
	flags.IntVar(&s.kubernetesBurst, "kube-api-burst", 100, "requests to the API server at once: a `number`")
	flags.StringVar(&s.logLevel, "log-level", "info", "least `level` that is logged: debug, info, warn, error")
	flags.StringVar(&s.logFormat, "log-format", "json", "`format` of the log: json, text")
}

func (s *settings) validate() error {
	switch {
	case s.options.Images.Gateway == "":
		return usageError{fmt.Errorf("--gateway-image is empty: name an image, or leave the flag out")}
	case s.options.Images.Redis == "":
		return usageError{fmt.Errorf("--redis-image is empty: name an image, or leave the flag out")}
	case s.options.MaxConcurrentReconciles < 1:
		return usageError{fmt.Errorf("--max-concurrent-reconciles is %d: it must be at least 1", s.options.MaxConcurrentReconciles)}
	case s.options.ScrapeInterval < time.Second:
		return usageError{fmt.Errorf("--scrape-interval is %s: it must be at least 1s", s.options.ScrapeInterval)}
	case slices.Contains(s.watchNamespaces, ""):
		// An empty name would mean every namespace.
		return usageError{fmt.Errorf("--watch-namespaces has an empty name: leave out the comma, or the flag to watch all")}
	case s.gracefulShutdown < 0:
		return usageError{fmt.Errorf("--graceful-shutdown-timeout is %s: it must not be negative", s.gracefulShutdown)}
	case s.kubernetesQPS <= 0 || s.kubernetesBurst <= 0:
		return usageError{fmt.Errorf("--kube-api-qps and --kube-api-burst must be greater than 0")}
	}
	return errors.Join(
		checkAddress("metrics-bind-address", s.metricsAddress),
		checkAddress("health-probe-bind-address", s.healthAddress),
	)
}

// checkAddress finds what could not be listened on before anything is started.
func checkAddress(flag, address string) error {
	if address == "0" {
		return nil
	}
	if _, _, err := net.SplitHostPort(address); err != nil {
		return usageError{fmt.Errorf("--%s is %q: it must be host:port, such as :8080, or 0 for none", flag, address)}
	}
	return nil
}

// logger writes to standard error in the chosen format.
func (s *settings) logger() (logr.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return logr.Logger{}, usageError{fmt.Errorf("--log-level is %q: it must be debug, info, warn or error", s.logLevel)}
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "json":
		return logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, options)), nil
	case "text":
		return logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, options)), nil
	default:
		return logr.Logger{}, usageError{fmt.Errorf("--log-format is %q: it must be json or text", s.logFormat)}
	}
}
