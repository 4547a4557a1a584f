package render

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// Input is all that the objects are made from: the spec and what was observed besides.
type Input struct {
	// Name, Namespace and UID are the WebSocketCluster's.
	Name      string
	Namespace string
	UID       types.UID

	// Spec has its defaults filled in.
	Spec v1alpha1.WebSocketClusterSpec

	Images Images

	// Profile is the ingress profile in use, never Auto.
	Profile v1alpha1.IngressProfile

	// Secrets are the generated ones: existing values are kept.
	Secrets Secrets

	// CredentialsHash changes when a Secret changes that gateways read at their start. It must not
	// give the Secrets' content away.
	CredentialsHash string
}

// Images are the operator release's own images.
type Images struct {
	Gateway string
	Redis   string
}

// Secrets are what the operator generates once per cluster and then keeps.
type Secrets struct {
	// AdminToken opens the gateways' admin endpoints.
	AdminToken string
	// Salt keys the hashes of Secrets that show on gateway pods.
	Salt string
	// RedisPassword is the managed Redis' password.
	RedisPassword string
}

// GatewayImage is the image that the fleet runs.
func (in Input) GatewayImage() string {
	if in.Spec.Image != "" {
		return in.Spec.Image
	}
	return in.Images.Gateway
}

// managedRedis says whether the operator runs this cluster's Redis.
func (in Input) managedRedis() bool {
	return in.Spec.Redis != nil && in.Spec.Redis.Managed != nil
}
