package auth

import (
	"context"

	"github.com/golang-jwt/jwt/v5"
)

// fixedKeys are the configured key and the previous one. A token's kid is ignored.
type fixedKeys []key

func newFixedKeys(texts ...string) (fixedKeys, error) {
	var keys fixedKeys
	for _, text := range texts {
		if text == "" {
			continue
		}
		k, err := parseKey(text)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// find implements source. It returns an ErrInvalid when no key is for the algorithm.
func (f fixedKeys) find(_ context.Context, _, algorithm string) ([]jwt.VerificationKey, error) {
	found := make([]jwt.VerificationKey, 0, len(f))
	for _, k := range f {
		if k.fits(algorithm) {
			found = append(found, k.value)
		}
	}
	if len(found) == 0 {
		return nil, invalid("no key is for its algorithm %s", algorithm)
	}
	return found, nil
}

func (fixedKeys) run(context.Context) error { return nil }
