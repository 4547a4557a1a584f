package fleet

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// TokenOf returns the bearer token in the cluster's admin Secret. It returns ErrNoToken when secret is nil, or when it
// is foreign: not controlled by the cluster.
func TokenOf(secret *corev1.Secret, cluster client.ObjectKey) (string, error) {
	if secret == nil {
		return "", ErrNoToken
	}
	owner := metav1.GetControllerOf(secret)
	if owner == nil || owner.Kind != v1alpha1.KindWebSocketCluster || owner.Name != cluster.Name {
		return "", ErrNoToken
	}
	return string(secret.Data[contract.AdminTokenKey]), nil
}
