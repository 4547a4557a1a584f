package render

import coreac "k8s.io/client-go/applyconfigurations/core/v1"

// serviceAccount gives the fleet's pods an identity of their own, without a token: nothing in them
// talks to the API server.
func serviceAccount(in Input) (any, error) {
	return coreac.ServiceAccount(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithAutomountServiceAccountToken(false), nil
}
