package render

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Input is everything that the objects are built from: the spec, and what was observed in the cluster.
type Input struct {
	// Name is the name of the WebSocketCluster.
	Name string
	// Namespace is the namespace of the WebSocketCluster and of all its objects.
	Namespace string
	// UID is the UID of the WebSocketCluster, for owner references.
	UID types.UID

	// Operator is the identity of the operator, or empty.
	Operator string

	// Spec has its defaults set.
	Spec v1alpha1.WebSocketClusterSpec

	// GatewayReplicas is the size of the gateways' Deployment, or nil for spec.replicas. It is larger while gateways drain
	// before they are deleted.
	GatewayReplicas *int32
	// HoldRollout pauses the gateways' Deployment, so that no further gateway is replaced. HoldLast does so when all
	// gateways of the new version exist.
	HoldRollout, HoldLast bool
	// RefusedVersion is the version of the gateways that turn their clients away, as their AnnotationVersion says, or
	// empty.
	RefusedVersion string
	// HoldEvictions closes the gateways' PodDisruptionBudget, so that no gateway that is ready is evicted.
	HoldEvictions bool

	// Images are the images of the operator's release.
	Images Images

	// OperatorNamespace is the namespace of the operator and of the metrics API. It is empty when the operator runs
	// outside of the cluster.
	OperatorNamespace string

	// Installed are the kinds of other projects that the cluster has.
	Installed Installed

	// Profile is the ingress profile in use, never Auto.
	Profile v1alpha1.IngressProfile

	// Metrics is where the autoscaler reads connections: BuiltIn or Existing, never Auto.
	Metrics v1alpha1.AutoscalingMetrics

	// Secrets are the values that the operator has generated.
	Secrets Secrets

	// Front is how the Service and the Ingress reach the gateways. The zero value means: as the spec says.
	Front Front

	// RedisUpgrade is the value of the annotation by which the user asks for the managed Redis of the operator's release.
	RedisUpgrade string

	// CredentialsHash is a keyed hash of the Secrets' values that gateways read when they start. A change of it rolls
	// the gateways.
	CredentialsHash string
}

// Images are the images of the operator's release.
type Images struct {
	// Gateway is the image of the gateways, unless the spec names another.
	Gateway string
	// Redis is the image of the managed Redis.
	Redis string
}

// Secrets are the values that the operator generates once per WebSocketCluster and then keeps.
type Secrets struct {
	// AdminToken is the bearer token of the gateways' private port.
	AdminToken string
	// Salt is the key of the hashes of Secrets that gateway pods have as annotations.
	Salt string
	// RedisPassword is the password of the managed Redis.
	RedisPassword string
}

// GatewayImage returns the image of the gateways.
func (in Input) GatewayImage() string {
	if in.Spec.Image != "" {
		return in.Spec.Image
	}
	return in.Images.Gateway
}

// managedRedis reports whether the operator runs the fleet's Redis.
func (in Input) managedRedis() bool {
	return in.Spec.Redis != nil && in.Spec.Redis.Managed != nil
}
