package auth

import (
	"crypto/sha256"
	"crypto/subtle"
)

// APIKeys holds the hashes of the server API's keys: the current one, and the previous one during a rotation.
type APIKeys struct {
	hashes [2][sha256.Size]byte
	// set is 1 for a configured key, so that an empty key never matches.
	set [2]int
}

// NewAPIKeys returns the keys; an empty one is not configured.
func NewAPIKeys(current, previous string) *APIKeys {
	a := &APIKeys{}
	for i, key := range []string{current, previous} {
		a.hashes[i] = sha256.Sum256([]byte(key))
		if key != "" {
			a.set[i] = 1
		}
	}
	return a
}

// On reports whether a key is configured.
func (a *APIKeys) On() bool { return a.set[0]|a.set[1] == 1 }

// Match reports whether a key is the current or the previous one. Its duration does not depend on the keys or their
// lengths.
func (a *APIKeys) Match(presented string) bool {
	hash := sha256.Sum256([]byte(presented))
	matched := 0
	for i := range a.hashes {
		matched |= subtle.ConstantTimeCompare(hash[:], a.hashes[i][:]) & a.set[i]
	}
	return matched == 1
}
