package render

import (
	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// SecretValue is a setting of the gateways whose value is in a Secret that the spec names. They read it
// from their environment at their start.
type SecretValue struct {
	// Setting is the gateways' configuration key.
	Setting string
	// Field of the spec is what names the Secret, for messages.
	Field string
	// Secret and Key are where the value is.
	Secret, Key string
	// MinBytes is how many bytes the value must have.
	MinBytes int
}

// SecretValues are all that a spec has. The order is that of the hash of their contents: another one
// would roll every fleet.
func SecretValues(spec v1alpha1.WebSocketClusterSpec) []SecretValue {
	var values []SecretValue
	add := func(setting, field string, ref *v1alpha1.SecretKeyReference, minBytes int) {
		if ref != nil {
			values = append(values, SecretValue{Setting: setting, Field: field, Secret: ref.Name, Key: ref.Key, MinBytes: minBytes})
		}
	}
	auth := spec.Gateway.Auth
	add(contract.KeyAPIKey, "spec.gateway.auth.apiKeySecretRef", auth.APIKeySecretRef, 1)
	add(contract.KeyAPIPreviousKey, "spec.gateway.auth.previousAPIKeySecretRef", auth.PreviousAPIKeySecretRef, 1)
	if jwt := auth.JWT; jwt != nil {
		add(contract.KeyJWTKey, "spec.gateway.auth.jwt.secretRef", jwt.SecretRef, contract.MinJWTKeyBytes)
		add(contract.KeyJWTPreviousKey, "spec.gateway.auth.jwt.previousSecretRef", jwt.PreviousSecretRef, contract.MinJWTKeyBytes)
	}
	if hooks := spec.Gateway.Hooks; hooks != nil {
		add(contract.KeyHookSecret, "spec.gateway.hooks.secretRef", hooks.SecretRef, contract.MinHookSecretBytes)
	}
	return values
}
