package render

import (
	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// SecretValue is a setting of the gateways whose value is in a Secret that the spec names. Gateways read it from their
// environment when they start.
type SecretValue struct {
	// Setting is the gateways' configuration key.
	Setting string
	// Field is the field of the spec that names the Secret, for messages.
	Field string
	// Secret is the name of the Secret.
	Secret string
	// Key is the key inside the Secret.
	Key string
	// MinBytes is the minimum length of the value.
	MinBytes int
}

// SecretValues returns the settings that the spec takes from Secrets. Their contents are hashed in this order, so a
// different order would roll every fleet.
func SecretValues(spec v1alpha1.WebSocketClusterSpec) []SecretValue {
	var values []SecretValue
	add := func(setting, field string, ref *v1alpha1.SecretKeyReference, minBytes int) {
		if ref != nil {
			values = append(values, SecretValue{
				Setting:  setting,
				Field:    field,
				Secret:   ref.Name,
				Key:      ref.Key,
				MinBytes: minBytes,
			})
		}
	}
	auth := spec.Gateway.Auth
	add(contract.KeyAPIKey, "spec.gateway.auth.apiKeySecretRef", auth.APIKeySecretRef, 1)
	add(contract.KeyAPIPreviousKey, "spec.gateway.auth.previousAPIKeySecretRef", auth.PreviousAPIKeySecretRef, 1)
	if jwt := auth.JWT; jwt != nil {
		const minBytes = contract.MinJWTKeyBytes
		add(contract.KeyJWTKey, "spec.gateway.auth.jwt.secretRef", jwt.SecretRef, minBytes)
		add(contract.KeyJWTPreviousKey, "spec.gateway.auth.jwt.previousSecretRef", jwt.PreviousSecretRef, minBytes)
	}
	if hooks := spec.Gateway.Hooks; hooks != nil {
		add(contract.KeyHookSecret, "spec.gateway.hooks.secretRef", hooks.SecretRef, contract.MinHookSecretBytes)
	}
	return values
}
