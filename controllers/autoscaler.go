package controllers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/metricsapi"
	"github.com/wsfleet/wsfleet/controllers/render"
)

// indexScaledCluster is the name of the cache's index of HorizontalPodAutoscalers by the cluster that they scale,
// directly or by its Deployment.
const indexScaledCluster = "spec.scaleTargetRef.cluster"

// scaledCluster returns the name of the cluster that a HorizontalPodAutoscaler may scale: whether there is a cluster of
// that name is not known here.
func scaledCluster(object client.Object) []string {
	hpa, ok := object.(*autoscalingv2.HorizontalPodAutoscaler)
	if !ok {
		return nil
	}
	target := hpa.Spec.ScaleTargetRef
	group, err := schema.ParseGroupVersion(target.APIVersion)
	switch {
	case err != nil:
		return nil
	case group.Group == v1alpha1.GroupName && target.Kind == v1alpha1.KindWebSocketCluster:
		return []string{target.Name}
	case group.Group == appsv1.GroupName && target.Kind == "Deployment":
		if cluster, found := strings.CutSuffix(target.Name, render.GatewayName("")); found && cluster != "" {
			return []string{cluster}
		}
	}
	return nil
}

// clusterOfAutoscaler maps a HorizontalPodAutoscaler to the cluster of its label and the one that it scales.
func clusterOfAutoscaler(ctx context.Context, object client.Object) []reconcile.Request {
	requests := clusterOfLabel(ctx, object)
	for _, name := range scaledCluster(object) {
		request := reconcile.Request{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: name}}
		if !slices.Contains(requests, request) {
			requests = append(requests, request)
		}
	}
	return requests
}

// otherAutoscalers returns the HorizontalPodAutoscalers that scale the cluster and are not its own, by their names. It
// reads from the cache, which has all of the cluster's HorizontalPodAutoscalers for this, in a few bytes each. It
// returns an error when the cache cannot be read.
func (r *Reconciler) otherAutoscalers(
	ctx context.Context, cluster *v1alpha1.WebSocketCluster,
) ([]autoscalingv2.HorizontalPodAutoscaler, error) {
	var scaling autoscalingv2.HorizontalPodAutoscalerList
	err := r.client.List(ctx, &scaling, client.InNamespace(cluster.Namespace),
		client.MatchingFields{indexScaledCluster: cluster.Name})
	if err != nil {
		return nil, fmt.Errorf("list HorizontalPodAutoscalers: %w", err)
	}
	others := slices.DeleteFunc(scaling.Items, func(hpa autoscalingv2.HorizontalPodAutoscaler) bool {
		return hpa.Name == render.GatewayName(cluster.Name) && isOwned(&hpa, cluster)
	})
	slices.SortFunc(others,
		func(a, b autoscalingv2.HorizontalPodAutoscaler) int { return strings.Compare(a.Name, b.Name) })
	return others, nil
}

// metricsAPI returns the Deployment and the pods of wsfleet's own metrics API, which say why an autoscaler cannot read
// from it. It asks the API server, because the cache has the objects of fleets only. They are empty when they cannot be
// read, or discovery alone knows of the metrics API: the status then has the autoscaler's words alone.
func (r *Reconciler) metricsAPI(ctx context.Context, owner metricsapi.Owner) (*appsv1.Deployment, []corev1.Pod) {
	if owner.Service.Name == "" {
		return nil, nil
	}
	var deployment appsv1.Deployment
	var pods corev1.PodList
	err := errors.Join(
		r.applier.live.Get(ctx, owner.Service, &deployment),
		r.applier.live.List(ctx, &pods, client.InNamespace(owner.Service.Namespace),
			client.MatchingLabels(metricsapi.PodLabels())))
	if err != nil {
		log.FromContext(ctx).Error(err, "Could not look at the metrics API")
		return nil, nil
	}
	return &deployment, pods.Items
}

// isMetricsAPI is a predicate for the APIServices of the custom metrics API.
func isMetricsAPI() predicate.Predicate {
	return predicate.NewPredicateFuncs(func(object client.Object) bool {
		apiService, ok := object.(*apiregistrationv1.APIService)
		return ok && apiService.Spec.Group == metricsapi.GroupName
	})
}

// autoscalerChanged is a predicate that drops the changes on which no decision depends. A HorizontalPodAutoscaler's
// status has the latest values of its metrics, which change all the time.
func autoscalerChanged() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(change event.UpdateEvent) bool {
		before, wasAutoscaler := change.ObjectOld.(*autoscalingv2.HorizontalPodAutoscaler)
		now, isAutoscaler := change.ObjectNew.(*autoscalingv2.HorizontalPodAutoscaler)
		return !wasAutoscaler || !isAutoscaler ||
			!apiequality.Semantic.DeepEqual(autoscalerFacts(before), autoscalerFacts(now))
	}}
}

// autoscalerFacts returns the part of a HorizontalPodAutoscaler on which decisions depend. What it says while it works
// is not among it.
func autoscalerFacts(hpa *autoscalingv2.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	facts := hpa.DeepCopy()
	facts.ResourceVersion = ""
	facts.ManagedFields = slices.DeleteFunc(facts.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Subresource == "status"
	})
	conditions := facts.Status.Conditions
	facts.Status = autoscalingv2.HorizontalPodAutoscalerStatus{}
	for _, condition := range conditions {
		switch {
		case condition.Type == autoscalingv2.ScalingLimited:
		case condition.Status == corev1.ConditionTrue:
			facts.Status.Conditions = append(facts.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{
				Type: condition.Type, Status: condition.Status,
			})
		default:
			facts.Status.Conditions = append(facts.Status.Conditions, condition)
		}
	}
	return facts
}
