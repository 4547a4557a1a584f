package config

import (
	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Tokens returns the options for verifying the tokens of clients.
func (cfg *Config) Tokens() auth.Options {
	return auth.Options{
		Key:         cfg.JWTKey,
		PreviousKey: cfg.JWTPreviousKey,
		JWKSURL:     cfg.JWKSURL,
		Issuer:      cfg.JWTIssuer,
		Audience:    cfg.JWTAudience,
	}
}

// tokenKeys returns the configuration key of each option that Tokens sets.
func tokenKeys() map[string]string {
	return map[string]string{
		"Key":         contract.KeyJWTKey,
		"PreviousKey": contract.KeyJWTPreviousKey,
		"JWKSURL":     contract.KeyJWTJWKSURL,
		"Issuer":      contract.KeyJWTIssuer,
		"Audience":    contract.KeyJWTAudience,
	}
}

func (cfg *Config) checkAuth(c *checker) {
	keys := tokenKeys()
	for _, p := range auth.Problems(cfg.Tokens()) {
		c.fail(keys[p.Option], p.Remedy, "%s", p.Problem)
	}
	if cfg.APIPreviousKey != "" && cfg.APIKey == "" {
		remedy := "set " + contract.KeyAPIKey + " to the key that came after it, or leave it out"
		c.fail(contract.KeyAPIPreviousKey, remedy, "is set, but %s is not", contract.KeyAPIKey)
	}
	if !cfg.Anonymous && cfg.JWTKey == "" && cfg.JWKSURL == "" && cfg.HookConnectURL == "" {
		remedy := "set " + contract.KeyJWTKey + ", " + contract.KeyJWTJWKSURL + " or " + contract.KeyHookConnectURL +
			", or make it true"
		c.fail(contract.KeyAnonymous, remedy, "is false, and without a key for tokens no client could connect")
	}
}
