package v1alpha1

// AuthSpec is who may connect, and who may call the server API.
//
// +kubebuilder:validation:XValidation:rule="!has(self.previousAPIKeySecretRef) || has(self.apiKeySecretRef)",message="is the key before spec.gateway.auth.apiKeySecretRef: set that, or remove spec.gateway.auth.previousAPIKeySecretRef",fieldPath=".previousAPIKeySecretRef"
type AuthSpec struct {
	// anonymous lets clients in that have no token. Without them clients need a token, for which jwt is,
	// or the connect hook says who they are.
	// +optional
	// +kubebuilder:default=true
	Anonymous *bool `json:"anonymous,omitempty"`

	// jwt is how clients' tokens are checked; without it no token is taken.
	// +optional
	JWT *JWTSpec `json:"jwt,omitempty"`

	// apiKeySecretRef names the key that backends send as X-API-Key to publish over HTTP; without
	// one the server API refuses every call. A changed Secret rolls the gateways. By default the
	// Secret's key is api-key.
	// +optional
	APIKeySecretRef *SecretKeyReference `json:"apiKeySecretRef,omitempty"`

	// previousAPIKeySecretRef names the API key before, which is taken too while backends go over to the
	// new one. By default the Secret's key is api-previous-key.
	// +optional
	PreviousAPIKeySecretRef *SecretKeyReference `json:"previousAPIKeySecretRef,omitempty"`
}

// JWTSpec is how clients' tokens are checked: by one key, or by a key set.
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != has(self.jwksURL)",message="takes exactly one source of keys: set spec.gateway.auth.jwt.secretRef or spec.gateway.auth.jwt.jwksURL, and remove the other"
// +kubebuilder:validation:XValidation:rule="!has(self.previousSecretRef) || has(self.secretRef)",message="is the key before spec.gateway.auth.jwt.secretRef: set that, or remove spec.gateway.auth.jwt.previousSecretRef",fieldPath=".previousSecretRef"
type JWTSpec struct {
	// secretRef names the key that tokens are signed with: a shared one of at least 32 bytes, or a
	// public one in PEM. A changed Secret rolls the gateways. By default the Secret's key is jwt-key.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// previousSecretRef names the key before, so that tokens signed with it are good until they expire.
	// By default the Secret's key is jwt-previous-key.
	// +optional
	PreviousSecretRef *SecretKeyReference `json:"previousSecretRef,omitempty"`

	// jwksURL is where the key set (JWKS) of an identity provider is.
	// +optional
	JWKSURL URL `json:"jwksURL,omitempty"`

	// issuer (iss) that tokens must name; by default any.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Issuer string `json:"issuer,omitempty"`

	// audience (aud) that tokens must name; by default any.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience,omitempty"`
}

// SecretKeyReference names a key of a Secret in the WebSocketCluster's namespace.
type SecretKeyReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key inside the Secret; the field that names the Secret says the default.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
