// Package v1alpha1 has the types of the API wsfleet.dev/v1alpha1: the WebSocketCluster that users apply, and the status
// that the operator writes. The operator's packages in controllers use it, and the CRD is generated from it.
//
// Every validation rule is in the schema (OpenAPI and CEL): the API server refuses an invalid object with a message
// that names the field and the remedy, and no webhook is needed.
//
// +kubebuilder:object:generate=true
// +groupName=wsfleet.dev
package v1alpha1
