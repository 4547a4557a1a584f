package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/metrics/pkg/apis/custom_metrics"
	"sigs.k8s.io/controller-runtime/pkg/client"
	apiprovider "sigs.k8s.io/custom-metrics-apiserver/pkg/provider"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The resources that have metrics.
var (
	clusters = schema.GroupResource{Group: v1alpha1.GroupName, Resource: "websocketclusters"}
	pods     = schema.GroupResource{Resource: "pods"}
)

// fleetMetrics has the function that computes each metric of a WebSocketCluster.
var fleetMetrics = map[string]func(counted) (resource.Quantity, error){
	contract.MetricConnections:         counted.connections,
	contract.MetricConnectionsMaxRatio: counted.maxRatio,
	contract.MetricConnectRate:         counted.connectRate,
}

// provider answers the requests of the custom metrics API. It implements the provider of custom-metrics-apiserver. Its
// methods may be called by several goroutines at once.
type provider struct {
	cache    client.Reader
	readings *readings
	metrics  *serverMetrics
	log      logr.Logger
}

// ListAllMetrics returns the metrics for discovery.
func (p *provider) ListAllMetrics() []apiprovider.CustomMetricInfo {
	all := make([]apiprovider.CustomMetricInfo, 0, 1+len(fleetMetrics))
	all = append(all, apiprovider.CustomMetricInfo{
		GroupResource: pods,
		Namespaced:    true,
		Metric:        contract.MetricConnections,
	})
	for name := range fleetMetrics {
		all = append(all, apiprovider.CustomMetricInfo{GroupResource: clusters, Namespaced: true, Metric: name})
	}
	return all
}

// GetMetricByName returns a metric of one WebSocketCluster or pod. It returns a NotFound error when there is no such
// object or metric, and ServiceUnavailable when the metric cannot be computed.
func (p *provider) GetMetricByName(
	ctx context.Context, name types.NamespacedName, info apiprovider.CustomMetricInfo, selector labels.Selector,
) (*custom_metrics.MetricValue, error) {
	if !served(info, selector) {
		return nil, apiprovider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name.Name)
	}
	if info.GroupResource == pods {
		pod := &corev1.Pod{}
		if err := p.cache.Get(ctx, name, pod); err != nil {
			return nil, notFoundOr(err, info, name.Name)
		}
		return p.ofPod(ctx, pod)
	}
	cluster := clusterMetadata()
	if err := p.cache.Get(ctx, name, cluster); err != nil {
		return nil, notFoundOr(err, info, name.Name)
	}
	return p.ofCluster(ctx, name, info.Metric)
}

// GetMetricBySelector returns a metric of the WebSocketClusters or pods of a namespace that the selector matches. It
// leaves out those whose metric cannot be computed, and logs why. It returns a NotFound error when there is no such
// metric, and ServiceUnavailable when all are left out.
func (p *provider) GetMetricBySelector(
	ctx context.Context, namespace string, objects labels.Selector, info apiprovider.CustomMetricInfo,
	selector labels.Selector,
) (*custom_metrics.MetricValueList, error) {
	if !served(info, selector) {
		return nil, apiprovider.NewMetricNotFoundError(info.GroupResource, info.Metric)
	}
	in := []client.ListOption{client.InNamespace(namespace), client.MatchingLabelsSelector{Selector: objects}}
	if info.GroupResource == pods {
		var list corev1.PodList
		if err := p.cache.List(ctx, &list, in...); err != nil {
			return nil, unavailable(err)
		}
		return collect(p, list.Items, func(pod corev1.Pod) (*custom_metrics.MetricValue, error) {
			return p.ofPod(ctx, &pod)
		})
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster + "List"))
	if err := p.cache.List(ctx, list, in...); err != nil {
		return nil, unavailable(err)
	}
	return collect(p, list.Items, func(o metav1.PartialObjectMetadata) (*custom_metrics.MetricValue, error) {
		return p.ofCluster(ctx, client.ObjectKeyFromObject(&o), info.Metric)
	})
}

// collect returns the metrics of objects. It returns the last error of value when there is one and no metric.
func collect[T any](
	p *provider, objects []T, value func(T) (*custom_metrics.MetricValue, error),
) (*custom_metrics.MetricValueList, error) {
	list := &custom_metrics.MetricValueList{}
	var last error
	for _, object := range objects {
		one, err := value(object)
		if err != nil {
			p.log.Info("An object is left out of the metrics of a selector", "reason", err.Error())
			last = err
			continue
		}
		list.Items = append(list.Items, *one)
	}
	if len(list.Items) == 0 && last != nil {
		return nil, last
	}
	// The cache has no order.
	slices.SortFunc(list.Items, func(a, b custom_metrics.MetricValue) int {
		return cmp.Compare(a.DescribedObject.Name, b.DescribedObject.Name)
	})
	return list, nil
}

// served reports whether the metric exists. Metrics have no labels, so that a selector of metrics' labels matches them
// only when it is empty.
func served(info apiprovider.CustomMetricInfo, selector labels.Selector) bool {
	if !info.Namespaced || selector != nil && !selector.Matches(labels.Set{}) {
		return false
	}
	switch info.GroupResource {
	case clusters:
		return fleetMetrics[info.Metric] != nil
	case pods:
		return info.Metric == contract.MetricConnections
	default:
		return false
	}
}

// ofCluster returns a metric of the whole fleet.
func (p *provider) ofCluster(
	ctx context.Context, cluster client.ObjectKey, metric string,
) (*custom_metrics.MetricValue, error) {
	fleet, err := p.countFleet(ctx, cluster)
	if err != nil {
		return nil, err
	}
	quantity, err := fleetMetrics[metric](fleet)
	if err != nil {
		return nil, unavailable(err)
	}
	return value(custom_metrics.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(),
		Kind:       v1alpha1.KindWebSocketCluster,
		Namespace:  cluster.Namespace,
		Name:       cluster.Name,
	}, metric, quantity, fleet.at), nil
}

// countFleet reads the fleet and counts the answer. It returns a ServiceUnavailable error when the gateways are not
// known, or one that holds connections does not answer.
func (p *provider) countFleet(ctx context.Context, cluster client.ObjectKey) (counted, error) {
	read, err := p.readings.read(ctx, cluster)
	if err != nil {
		p.metrics.answers.WithLabelValues(string(outcomeFailed)).Inc()
		return counted{}, unavailable(fmt.Errorf("%s: %w", cluster, err))
	}
	fleet, err := count(read.gateways, time.Now())
	switch {
	case err != nil:
		p.metrics.answers.WithLabelValues(string(outcomeFailed)).Inc()
		return counted{}, unavailable(err)
	case len(fleet.stale) > 0:
		p.metrics.answers.WithLabelValues(string(outcomeStale)).Inc()
	default:
		p.metrics.answers.WithLabelValues(string(outcomeComplete)).Inc()
	}
	return fleet, nil
}

// errNoGateway means that a pod is not a gateway that runs.
var errNoGateway = errors.New("the pod is not a running gateway")

// ofPod returns the connections of one gateway.
func (p *provider) ofPod(ctx context.Context, pod *corev1.Pod) (*custom_metrics.MetricValue, error) {
	cluster := client.ObjectKey{Namespace: pod.Namespace, Name: pod.Labels[render.LabelCluster]}
	read, err := p.readings.read(ctx, cluster)
	if err != nil {
		return nil, unavailable(fmt.Errorf("%s: %w", cluster, err))
	}
	for _, g := range read.gateways {
		if g.pod.UID != pod.UID {
			continue
		}
		one, err := count([]gateway{g}, time.Now())
		if err != nil {
			return nil, unavailable(err)
		}
		quantity, _ := one.connections()
		return value(custom_metrics.ObjectReference{
			APIVersion: "v1",
			Kind:       "Pod",
			Namespace:  pod.Namespace,
			Name:       pod.Name,
			UID:        pod.UID,
		}, contract.MetricConnections, quantity, one.at), nil
	}
	return nil, unavailable(fmt.Errorf("pod %s: %w", pod.Name, errNoGateway))
}

// value returns a metric of an object.
func value(
	object custom_metrics.ObjectReference, metric string, quantity resource.Quantity, at time.Time,
) *custom_metrics.MetricValue {
	return &custom_metrics.MetricValue{
		DescribedObject: object,
		Metric:          custom_metrics.MetricIdentifier{Name: metric},
		Timestamp:       metav1.NewTime(at),
		Value:           quantity,
	}
}

// unavailable returns err as a status that the autoscaler shows.
func unavailable(err error) error { return apierrors.NewServiceUnavailable(err.Error()) }

// notFoundOr returns err as a status: that the object has no such metric when it does not exist.
func notFoundOr(err error, info apiprovider.CustomMetricInfo, name string) error {
	if apierrors.IsNotFound(err) {
		return apiprovider.NewMetricNotFoundForError(info.GroupResource, info.Metric, name)
	}
	return unavailable(err)
}

// clusterMetadata returns an empty WebSocketCluster for the cache, which holds the metadata only.
func clusterMetadata() *metav1.PartialObjectMetadata {
	meta := &metav1.PartialObjectMetadata{}
	meta.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(v1alpha1.KindWebSocketCluster))
	return meta
}
