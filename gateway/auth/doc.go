// Package auth verifies the tokens that clients bring, signed by the application's backend, and the API keys of
// backends. The session package uses it for tokens, serverapi for keys.
//
// A token is a JSON Web Token (RFC 7519), signed as a compact JWS (RFC 7515) by HMAC (HS256, HS384, HS512), RSA (RS256
// to RS512, PS256 to PS512), ECDSA (ES256, ES384, ES512) or Ed25519 (EdDSA). The gateway has one source of keys: one
// configured key, with the one before it while keys change, or a JWK Set (RFC 7517) behind a URL.
//
// A connection token identifies the client that connects. Claims have the names of Centrifugo's tokens, where it has
// them:
//
//	sub       string  the user; empty or absent for a client without a user
//	exp       number  when it ends, in seconds since 1970; absent means never
//	iat, nbf  number  when it was issued, when it begins; neither may lie in the future
//	iss, aud          must be what is configured, where something is; aud may be a list
//	info      any     what others see of the client in presence and in join messages, at most 4 KiB
//	b64info   string  the same in base64; it wins over info
//	channels  list    channels that the client is subscribed to when it connects, at most 128
//	caps      list    [{"channels": ["news", "chat:*"], "allow": ["sub", "pub", "prs", "hst"]}]
//
// A subscription token lets one user subscribe to one channel. It has sub, exp, iat, nbf, iss, aud, info and b64info as
// above, and
//
//	channel   string  the channel; its presence is what makes a token a subscription token
//	allow     list    what more the client may do there: "pub", "prs", "hst"
//
// Best current practice (RFC 8725), by section: the algorithm must belong to the key, so that the text of a public key
// is never an HMAC secret, and ES256 is for P-256 only (3.1); "none" is not accepted (3.2); secrets have at least 32
// bytes and RSA keys 2048 bits (3.5); tokens with a crit header are refused (3.10); neither kind of token passes for
// the other (3.12). Names of claims are compared byte by byte (RFC 7519, section 7.3), and a name that comes twice
// makes a token invalid. Verified tokens are not cached.
package auth
