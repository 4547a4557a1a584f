package render

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Labels and annotations of the operator.
const (
	// LabelCluster is on every object of a fleet and names the WebSocketCluster.
	LabelCluster = v1alpha1.GroupName + "/cluster"

	labelName      = "app.kubernetes.io/name"
	labelInstance  = "app.kubernetes.io/instance"
	labelComponent = "app.kubernetes.io/component"
	labelManagedBy = "app.kubernetes.io/managed-by"
	labelPartOf    = "app.kubernetes.io/part-of"

	// AnnotationApplied is on every object: a hash of what the operator applied last.
	AnnotationApplied = v1alpha1.GroupName + "/applied"

	// AnnotationConfigHash is on every pod: a hash of the configuration that it starts from.
	AnnotationConfigHash = v1alpha1.GroupName + "/config-hash"

	annotationCredentialsHash = v1alpha1.GroupName + "/credentials-hash"
)

// FieldOwner is the operator's name as an owner of fields.
const FieldOwner = "wsfleet-operator"

// Values of the label app.kubernetes.io/component.
const (
	ComponentGateway = "gateway"
	ComponentRedis   = "redis"
)

// Keys of the Secret of external Redis credentials, and of the Secrets that the operator makes.
const (
	KeyRedisUsername = "username"
	KeyRedisPassword = "password"

	keyRedisConf = "redis.conf"
	// KeySalt begins with a dot, so that gateways do not take it for a token.
	KeySalt = ".salt"
)

// GatewayName names the gateways' Deployment, Service, Ingress and so on.
func GatewayName(cluster string) string { return cluster + "-gateway" }

// AdminSecretName names the Secret of the gateways' admin token.
func AdminSecretName(cluster string) string { return cluster + "-admin" }

// RedisName names the managed Redis' objects.
func RedisName(cluster string) string { return cluster + "-redis" }

// SelectorLabels select a component's pods. They never change: a Deployment's selector cannot.
func SelectorLabels(cluster, component string) map[string]string {
	return map[string]string{
		labelName:      "wsfleet",
		labelInstance:  cluster,
		labelComponent: component,
	}
}

func labels(cluster, component string) map[string]string {
	all := SelectorLabels(cluster, component)
	all[labelManagedBy] = FieldOwner
	all[labelPartOf] = "wsfleet"
	all[LabelCluster] = cluster
	return all
}

// shortHash is enough of a hash to tell two contents apart.
func shortHash(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:8])
}
