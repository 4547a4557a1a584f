package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group.
const GroupName = "wsfleet.dev"

// KindWebSocketCluster is the kind of a WebSocketCluster.
const KindWebSocketCluster = "WebSocketCluster"

var (
	// GroupVersion is the group and version of every type in this package.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}

	// SchemeBuilder registers the types of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this package to a scheme. It returns an error if a type cannot be registered.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &WebSocketCluster{}, &WebSocketClusterList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// FinalizerRedisLast is on WebSocketClusters with a managed Redis. It keeps a WebSocketCluster that is being deleted
// until its gateways are gone, because garbage collection would delete Redis at the same time.
const FinalizerRedisLast = GroupName + "/redis-last"

// AnnotationUpgradeRedis is an annotation of WebSocketClusters. An operator of a new release leaves a managed Redis as
// it is until the user gives the annotation another value, such as the release, or changes spec.redis.
const AnnotationUpgradeRedis = GroupName + "/upgrade-redis"

// AnnotationRebalance is an annotation of WebSocketClusters. Its value is when a user asked the operator to rebalance
// the fleet once, in RFC 3339, such as 2026-11-30T12:00:00Z. An hour later it means nothing.
const AnnotationRebalance = GroupName + "/rebalance"
