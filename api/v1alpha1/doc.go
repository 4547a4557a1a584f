// Package v1alpha1 is the wsfleet.dev/v1alpha1 API: the WebSocketCluster that a platform team
// applies, and what the operator says back in its status.
//
// Every rule a user can break is in the schema (OpenAPI and CEL), so that the API server refuses a
// bad object with the field and the remedy, and no webhook has to run.
//
// +kubebuilder:object:generate=true
// +groupName=wsfleet.dev
package v1alpha1
