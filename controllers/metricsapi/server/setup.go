package server

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/selection"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/util/workqueue"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// Options configure the metrics API for its environment.
type Options struct {
	// Namespace is that of the metrics API's Service and of the Secret with its certificate. It is required.
	Namespace string
	// ServicePort is the port of the Service. The default is metricsapi.ServicePort.
	ServicePort int32
	// Listener is where the API is served. It is required; the server closes it.
	Listener net.Listener
	// ManageCertificate makes the metrics API write the Secret. Without it another program does, such as cert-manager.
	ManageCertificate bool
	// Kubeconfig is the file with which to reach the cluster's API server. The default is the cluster that the process
	// runs in.
	Kubeconfig string
	// DrainDelay is how long the server goes on after it was told to stop, until no API server sends requests to it. The
	// default is 5 s.
	DrainDelay time.Duration
	// AdminAddress returns host:port of a gateway pod's admin endpoints, or "" while the pod has none. The default is the
	// pod's IP and contract.AdminPort.
	AdminAddress func(*corev1.Pod) string
	// Metrics is where the metrics API's own metrics are registered. It is required.
	Metrics prometheus.Registerer
}

// NewScheme returns a scheme of every type that the metrics API reads and writes. It returns an error when two types
// conflict.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(
		clientgoscheme.AddToScheme(scheme),
		apiregistrationv1.AddToScheme(scheme),
	)
}

// CacheOptions returns options for a cache that holds the pods of fleets and the metadata of WebSocketClusters, both
// without what the metrics API does not read, the APIServices, and of Secrets only the one with the certificate in
// namespace. Pods and WebSocketClusters are those in watched; no namespaces means all. CacheOptions returns an error
// only when a label is invalid, which it is not.
func CacheOptions(namespace string, watched []string) (cache.Options, error) {
	hasCluster, err := labels.NewRequirement(render.LabelCluster, selection.Exists, nil)
	if err != nil {
		return cache.Options{}, err //nolint:wrapcheck // a constant label
	}
	var namespaces map[string]cache.Config
	if len(watched) > 0 {
		namespaces = make(map[string]cache.Config, len(watched))
	}
	for _, name := range watched {
		namespaces[name] = cache.Config{}
	}
	return cache.Options{
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Pod{}: {
				Label:      labels.NewSelector().Add(*hasCluster),
				Namespaces: namespaces,
				Transform:  slimPod,
			},
			clusterMetadata(): {Namespaces: namespaces, Transform: slimCluster},
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{
				namespace: {FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, SecretName)},
			}},
			&apiregistrationv1.APIService{}: {Transform: cache.TransformStripManagedFields()},
		},
	}, nil
}

// Setup adds the metrics API to a manager. The manager's scheme must be that of NewScheme, and its cache must have the
// options of CacheOptions. Setup returns an error when a metric is registered already, or when the manager refuses a
// part.
func Setup(mgr manager.Manager, options Options) error {
	metrics, err := newServerMetrics(options.Metrics)
	if err != nil {
		return err
	}
	log := mgr.GetLogger().WithName("metrics-api")
	gateways := newGatewaySource(mgr.GetClient(), mgr.GetAPIReader())
	scraper := fleet.NewScraper(fleet.ScraperOptions{Address: options.AdminAddress})
	reader := fleet.NewReader(gateways, scraper, metrics.scrapeFailures)
	keeper := newCertificateKeeper(mgr.GetClient(), options.Namespace, options.ManageCertificate, metrics)
	keeping := newController(mgr, "certificate").
		Watches(&corev1.Secret{}, enqueueOnly)
	registering := newController(mgr, "registrar").
		Watches(&corev1.Secret{}, enqueueOnly).
		Watches(&apiregistrationv1.APIService{}, enqueueOnly, builder.WithPredicates(predicate.NewPredicateFuncs(ofTheGroup)))
	return errors.Join(
		keeping.Complete(keeper),
		registering.Complete(&registrar{
			client:    mgr.GetClient(),
			live:      mgr.GetAPIReader(),
			namespace: options.Namespace,
			port:      cmp.Or(options.ServicePort, metricsapi.ServicePort),
			metrics:   metrics,
		}),
		mgr.Add(&apiServer{
			listener:   options.Listener,
			kubeconfig: options.Kubeconfig,
			drainDelay: cmp.Or(options.DrainDelay, 5*time.Second),
			keeper:     keeper,
			provider: &provider{
				cache:    mgr.GetClient(),
				readings: newReadings(reader, gateways.forgetToken, log),
				metrics:  metrics,
				log:      log,
			},
			log: log,
		}),
	)
}

// only is the request of a controller that reconciles one thing, whatever event it comes from.
var only = reconcile.Request{NamespacedName: client.ObjectKey{Name: metricsapi.Name}}

// enqueueOnly enqueues only.
var enqueueOnly = handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
	return []reconcile.Request{only}
})

// newController returns a builder of a controller that reconciles only when it starts.
func newController(mgr manager.Manager, name string) *builder.Builder {
	return ctrl.NewControllerManagedBy(mgr).Named("metrics-api-" + name).
		WatchesRawSource(source.Func(
			func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
				queue.Add(only)
				return nil
			}))
}

// ofTheGroup reports whether an object is an APIService of the custom metrics API.
func ofTheGroup(object client.Object) bool {
	apiService, ok := object.(*apiregistrationv1.APIService)
	return ok && apiService.Spec.Group == metricsapi.GroupName
}
