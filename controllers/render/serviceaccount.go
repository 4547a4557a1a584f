package render

import coreac "k8s.io/client-go/applyconfigurations/core/v1"

// serviceAccount returns the ServiceAccount of the fleet's pods. Pods get no token, because they do not call the API
// server. It is the first object of a fleet that is written, and so has the identity of the operator.
func serviceAccount(in Input) (any, error) {
	account := coreac.ServiceAccount(GatewayName(in.Name), in.Namespace).
		WithLabels(labels(in.Name, ComponentGateway)).
		WithOwnerReferences(in.owner()).
		WithAutomountServiceAccountToken(false)
	if in.Operator != "" {
		account.WithAnnotations(map[string]string{AnnotationOperator: in.Operator})
	}
	return account, nil
}
