package render

import (
	"crypto/sha256"
	"encoding/hex"

	k8slabels "k8s.io/apimachinery/pkg/labels"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Labels and annotations that the operator sets.
const (
	// LabelCluster is on every object of a fleet. Its value is the name of the WebSocketCluster.
	LabelCluster = v1alpha1.GroupName + "/cluster"

	// LabelDraining is on the pods of gateways that drain and are not being deleted yet.
	LabelDraining = v1alpha1.GroupName + "/draining"

	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelPartOf    = "app.kubernetes.io/part-of"

	// AnnotationScaleIn is on the pods of gateways that drain before they are deleted. Its value is when that will be at
	// the latest (RFC 3339).
	AnnotationScaleIn = v1alpha1.GroupName + "/scale-in"
	// AnnotationRolloutHeld is on the gateways' Deployment while the operator has paused it, because enough gateways
	// drain.
	AnnotationRolloutHeld = v1alpha1.GroupName + "/rollout-held"
	// AnnotationRolloutRefused is on the gateways' Deployment when gateways of a new version turn their clients away. Its
	// value is the AnnotationTemplate of that version.
	AnnotationRolloutRefused = v1alpha1.GroupName + "/rollout-refused"
	// DeletionCostRetired is the value of controller.kubernetes.io/pod-deletion-cost on the pods of gateways that have
	// handed over their clients, so that Kubernetes deletes them and no others: the lowest that there is.
	DeletionCostRetired = "-2147483648"

	// AnnotationApplied is on every object. Its value is a hash of the fields that the operator applied last.
	AnnotationApplied = v1alpha1.GroupName + "/applied"

	// AnnotationOperator is on the ServiceAccount of a fleet, which is the first of its objects to be written. Its value
	// is the identity of the operator that manages the fleet.
	AnnotationOperator = v1alpha1.GroupName + "/operator"

	// AnnotationConfig is on every gateway pod. Its value is the gateway's configuration file, which the pod mounts.
	AnnotationConfig = v1alpha1.GroupName + "/config"

	// AnnotationConfigHash is on the pod of the managed Redis. Its value is a hash of the configuration that Redis starts
	// with.
	AnnotationConfigHash = v1alpha1.GroupName + "/config-hash"

	// annotationCredentialsHash is on every gateway pod. Its value is Input.CredentialsHash.
	annotationCredentialsHash = v1alpha1.GroupName + "/credentials-hash"
)

// FieldOwner is the operator's field manager in server-side apply.
const FieldOwner = "wsfleet-operator"

// Values of the label app.kubernetes.io/component.
const (
	// ComponentGateway is the value on the objects of the gateways.
	ComponentGateway = "gateway"
	// ComponentRedis is the value on the objects of the managed Redis.
	ComponentRedis = "redis"
)

// Keys of the Secret with the credentials of an external Redis, and of the Secrets that the operator creates.
const (
	// KeyRedisUsername is the key of the user name in an external Redis' Secret.
	KeyRedisUsername = "username"
	// KeyRedisPassword is the key of the password in the Secret of an external and of the managed Redis.
	KeyRedisPassword = "password"

	// keyRedisConf is the key of the configuration file in the managed Redis' Secret.
	keyRedisConf = "redis.conf"
	// KeySalt is the key of the salt in the admin Secret. It begins with a dot, so that gateways, which mount the Secret,
	// do not read the salt as a token.
	KeySalt = ".salt"
)

// GatewayName returns the name of the objects of the gateways, such as their Deployment, Service and Ingress.
func GatewayName(cluster string) string { return cluster + "-gateway" }

// AdminSecretName returns the name of the Secret with the bearer token of the gateways' private port.
func AdminSecretName(cluster string) string { return cluster + "-admin" }

// RedisName returns the name of the objects of the managed Redis.
func RedisName(cluster string) string { return cluster + "-redis" }

// SelectorLabels returns the labels that select a component's pods. They must never change, because the selector of an
// existing Deployment cannot.
func SelectorLabels(cluster, component string) map[string]string {
	return map[string]string{
		labelName:      "wsfleet",
		labelInstance:  cluster,
		labelComponent: component,
	}
}

// ServingSelector returns the label selector of the gateways that do not drain, for autoscalers.
func ServingSelector(cluster string) string {
	return k8slabels.SelectorFromSet(SelectorLabels(cluster, ComponentGateway)).String() + ",!" + LabelDraining
}

// labels returns the labels of a component's objects.
func labels(cluster, component string) map[string]string {
	all := SelectorLabels(cluster, component)
	all[labelManagedBy] = FieldOwner
	all[labelPartOf] = "wsfleet"
	all[LabelCluster] = cluster
	return all
}

// shortHash returns the first 8 bytes of the SHA-256 in hexadecimal, which is enough to detect a change.
func shortHash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:8])
}
