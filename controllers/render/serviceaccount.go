package render

import coreac "k8s.io/client-go/applyconfigurations/core/v1"

// serviceAccount returns the ServiceAccount of the fleet's pods. Pods get no token, because they do not call the API
// server.
func serviceAccount(in Input) (any, error) {
	return coreac.ServiceAccount(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithAutomountServiceAccountToken(false), nil
}
