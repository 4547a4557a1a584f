package controllers

import (
	"context"
	"fmt"

	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/discovery"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// What the operator may do, and no more. Leases and the metrics endpoint's reviews are in
// config/rbac by hand.
//
// +kubebuilder:rbac:groups=wsfleet.dev,resources=websocketclusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=wsfleet.dev,resources=websocketclusters/status,verbs=update
// +kubebuilder:rbac:groups=wsfleet.dev,resources=websocketclusters/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps;secrets;serviceaccounts;services,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingressclasses,verbs=get;list;watch
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch

// Setup adds the reconciler and the fleet monitor to a manager, whose scheme is NewScheme's and
// whose cache has CacheOptions.
func Setup(ctx context.Context, mgr manager.Manager, options Options) error {
	options = options.withDefaults()
	if options.Images.Gateway == "" || options.Images.Redis == "" {
		return fmt.Errorf("both images must be named, got gateway %q and redis %q", options.Images.Gateway, options.Images.Redis)
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return fmt.Errorf("make a discovery client: %w", err)
	}

	secrets := newSecretReader(mgr.GetClient(), mgr.GetAPIReader())
	monitor := fleet.NewMonitor(
		&fleetSource{reader: mgr.GetClient(), secrets: secrets},
		fleet.NewScraper(options.AdminAddress),
		options.ScrapeInterval,
		mgr.GetLogger().WithName("fleet"),
	)
	if err := mgr.Add(monitor); err != nil {
		return fmt.Errorf("add the fleet monitor: %w", err)
	}

	teller := newTeller(mgr.GetEventRecorder(render.FieldOwner))
	reconciler := &Reconciler{
		client:  mgr.GetClient(),
		secrets: secrets,
		writer: &writer{
			client: mgr.GetClient(),
			live:   mgr.GetAPIReader(),
			teller: teller,
			drift:  newDriftDetector(applyconfigurations.NewTypeConverter(mgr.GetScheme())),
		},
		metrics: newMetricsAPI(disco),
		fleet:   monitor,
		teller:  teller,
		images:  options.Images,
		recheck: options.Recheck,
	}
	return watch(ctx, mgr, reconciler, monitor, options)
}
