package controllers

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// These markers are the operator's ClusterRoles; config/rbac/role.yaml is generated from them. Objects without a
// namespace have a ClusterRole of their own, because config/namespaced makes a Role of the other one. The roles for
// leases and for the metrics endpoint's token and access reviews are written by hand in config/rbac.
//
// +kubebuilder:rbac:groups=wsfleet.dev,resources=websocketclusters,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=wsfleet.dev,resources=websocketclusters/status,verbs=update
// +kubebuilder:rbac:groups=wsfleet.dev,resources=websocketclusters/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=configmaps;secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=serviceaccounts;services,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=autoscaling,resources=horizontalpodautoscalers,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingresses;networkpolicies,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=httproutes,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=gateway.networking.k8s.io,resources=gateways,verbs=get
// +kubebuilder:rbac:groups=gateway.networking.x-k8s.io,resources=xbackends,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=monitoring.coreos.com,resources=podmonitors;prometheusrules,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get
// +kubebuilder:rbac:groups="";events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=list
//
// +kubebuilder:rbac:groups=apiregistration.k8s.io,resources=apiservices,verbs=get;list;watch,roleName=wsfleet-operator-cluster
// +kubebuilder:rbac:groups=networking.k8s.io,resources=ingressclasses,verbs=get;list;watch,roleName=wsfleet-operator-cluster
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,verbs=get;list;watch,roleName=wsfleet-operator-cluster

// Setup adds the reconciler and the fleet monitor to a manager. The manager's scheme must be that of NewScheme, and its
// cache must have the options of CacheOptions. Setup returns an error when an image is missing in options, when a
// metric is registered already, or when the manager refuses a part.
func Setup(ctx context.Context, mgr manager.Manager, options Options) error {
	options = options.withDefaults()
	if options.Images.Gateway == "" || options.Images.Redis == "" {
		return fmt.Errorf("both images must be named, got gateway %q and redis %q",
			options.Images.Gateway, options.Images.Redis)
	}
	metrics, err := newOperatorMetrics(options.Metrics)
	if err != nil {
		return err
	}

	secrets := newSecretReader(mgr.GetClient(), mgr.GetAPIReader())
	monitor := fleet.NewMonitor(fleet.MonitorOptions{
		Source:   &fleetSource{reader: mgr.GetClient(), secrets: secrets},
		Scraper:  fleet.NewScraper(fleet.ScraperOptions{Address: options.AdminAddress}),
		Interval: options.ScrapeInterval,
		Failures: metrics.scrapeFailures,
		Log:      mgr.GetLogger().WithName("fleet"),
	})
	if err := mgr.Add(monitor); err != nil {
		return fmt.Errorf("add the fleet monitor: %w", err)
	}

	scope, err := newClusterScope(mgr, options)
	if err != nil {
		return err
	}
	kinds, err := newOptionalKinds(mgr, scope, options.Namespaces)
	if err != nil {
		return err
	}
	others, err := newOperators(mgr, options)
	if err != nil {
		return err
	}
	types, err := newFieldTypes(mgr.GetScheme())
	if err != nil {
		return err
	}

	if options.Access != nil {
		if err := mgr.Add(options.Access); err != nil {
			return fmt.Errorf("follow the access to namespaces: %w", err)
		}
	}

	events := newDedupRecorder(mgr.GetEventRecorder(render.FieldOwner))
	reconciler := &Reconciler{
		client:  mgr.GetClient(),
		secrets: secrets,
		applier: &applier{
			client:      mgr.GetClient(),
			live:        mgr.GetAPIReader(),
			secrets:     secrets,
			newClusters: newNewClusters(),
			events:      events,
			drift:       newDriftDetector(types),
			contention:  newContention(),
			kinds:       kinds,
			metrics:     metrics,
		},
		scope:     scope,
		kinds:     kinds,
		fleet:     monitor,
		events:    events,
		metrics:   metrics,
		images:    options.Images,
		namespace: options.OperatorNamespace,
		operators: others,
		recheck:   options.Recheck,
		pace:      newStatusPace(options.StatusInterval),
		upgrades:  newUpgrades(options.MaxConcurrentUpgrades),
	}
	return addController(ctx, mgr, reconciler, monitor, options)
}

// newOperators returns what the operator knows of others, and makes the manager renew the operator's Lease if it has
// one. It returns an error when the manager refuses that.
func newOperators(mgr manager.Manager, options Options) (*operators, error) {
	known := &operators{
		own:     options.Identity,
		live:    mgr.GetAPIReader(),
		silence: options.Silence,
		now:     time.Now,
		seen:    map[string]renewal{},
		without: map[string]time.Time{},
	}
	if known.own.Name == "" {
		return known, nil
	}
	err := mgr.Add(&heartbeat{
		client:   mgr.GetClient(),
		lease:    known.own,
		interval: known.heartbeat(),
		silence:  known.silence,
	})
	if err != nil {
		return nil, fmt.Errorf("add the renewal of the operator's Lease: %w", err)
	}
	return known, nil
}
