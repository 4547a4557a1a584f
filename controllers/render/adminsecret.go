package render

import (
	corev1 "k8s.io/api/core/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// adminTokenSecret returns the Secret with the bearer token of the gateways' private port, which the operator and the
// gateways share.
func adminTokenSecret(in Input) (any, error) {
	return coreac.Secret(AdminSecretName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithType(corev1.SecretTypeOpaque).
		WithData(map[string][]byte{
			contract.AdminTokenKey: []byte(in.Secrets.AdminToken),
			KeySalt:                []byte(in.Secrets.Salt),
		}), nil
}
