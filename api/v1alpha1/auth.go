package v1alpha1

// AuthSpec configures which clients may connect and which backends may call the server API.
//
// +kubebuilder:validation:XValidation:rule="!has(self.previousAPIKeySecretRef) || has(self.apiKeySecretRef)",message="requires the key that replaces it: set spec.gateway.auth.apiKeySecretRef, or remove spec.gateway.auth.previousAPIKeySecretRef",fieldPath=".previousAPIKeySecretRef"
type AuthSpec struct {
	// anonymous is whether clients without a token may connect. Defaults to true. If it is false, a client needs a token
	// that jwt accepts, or spec.gateway.hooks.connect must name the client's user; at least one of the two must be set. A
	// client that is not let in is answered 401 (Centrifuge error 101).
	// +optional
	// +kubebuilder:default=true
	Anonymous *bool `json:"anonymous,omitempty"`

	// jwt configures how the tokens of clients are verified. If it is not set, gateways accept no token.
	// +optional
	JWT *JWTSpec `json:"jwt,omitempty"`

	// apiKeySecretRef selects the key of a Secret that holds the API key. Backends send it in the header X-API-Key to
	// call the server API. If it is not set, the server API refuses every call. The Secret's key defaults to api-key. A
	// change of the Secret rolls the gateways.
	// +optional
	APIKeySecretRef *SecretKeyReference `json:"apiKeySecretRef,omitempty"`

	// previousAPIKeySecretRef selects the key of a Secret that holds the previous API key. Gateways accept it too while
	// backends change to the new key. It requires apiKeySecretRef. The Secret's key defaults to api-previous-key.
	// +optional
	PreviousAPIKeySecretRef *SecretKeyReference `json:"previousAPIKeySecretRef,omitempty"`
}

// JWTSpec configures how the tokens of clients are verified: with one key, or with a key set (JWKS).
//
// +kubebuilder:validation:XValidation:rule="has(self.secretRef) != has(self.jwksURL)",message="requires exactly one source of keys: set spec.gateway.auth.jwt.secretRef or spec.gateway.auth.jwt.jwksURL, not both"
// +kubebuilder:validation:XValidation:rule="!has(self.previousSecretRef) || has(self.secretRef)",message="requires the key that replaces it: set spec.gateway.auth.jwt.secretRef, or remove spec.gateway.auth.jwt.previousSecretRef",fieldPath=".previousSecretRef"
type JWTSpec struct {
	// secretRef selects the key of a Secret that holds the key which verifies tokens: a shared key of at least 32 bytes,
	// or a public key in PEM. Exactly one of secretRef and jwksURL must be set. The Secret's key defaults to jwt-key. A
	// change of the Secret rolls the gateways.
	// +optional
	SecretRef *SecretKeyReference `json:"secretRef,omitempty"`

	// previousSecretRef selects the key of a Secret that holds the previous key. Tokens that are signed with it stay
	// valid until they expire. It requires secretRef. The Secret's key defaults to jwt-previous-key.
	// +optional
	PreviousSecretRef *SecretKeyReference `json:"previousSecretRef,omitempty"`

	// jwksURL is the URL of an identity provider's key set (JWKS). Exactly one of secretRef and jwksURL must be set.
	// +optional
	JWKSURL URL `json:"jwksURL,omitempty"`

	// issuer is the value that tokens must have in the claim iss, 1 to 512 characters. If it is not set, tokens of any
	// issuer are accepted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Issuer string `json:"issuer,omitempty"`

	// audience is a value that tokens must have in the claim aud, 1 to 512 characters. If it is not set, tokens for any
	// audience are accepted.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Audience string `json:"audience,omitempty"`
}

// SecretKeyReference selects a key of a Secret in the WebSocketCluster's namespace.
type SecretKeyReference struct {
	// name is the name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// key is the key inside the Secret. Its default depends on the field that has the reference, and is documented there.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}
