package auth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/MicahParks/jwkset"
)

const (
	fetchTimeout = 5 * time.Second
	// maxAnswerBytes and maxKeys bound the memory that an endpoint's answer can take.
	maxAnswerBytes = 256 << 10
	maxKeys        = 100
)

// download returns the keys of the endpoint's JWK Set. Its errors hold neither the URL nor the answer.
func (s *keySet) download(ctx context.Context) ([]key, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return nil, errors.New("the URL of the JWK Set cannot be asked")
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := s.client.Do(request)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return nil, fmt.Errorf("the JWK Set was not fetched: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the JWK Set was answered with status %d", response.StatusCode)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the JWK Set was not read: %w", err)
	case len(answer) > maxAnswerBytes:
		return nil, fmt.Errorf("the JWK Set is larger than %d bytes", maxAnswerBytes)
	}
	return s.read(answer)
}

// read returns the keys of a JWK Set (RFC 7517, section 5) that verify signatures, and skips the others. It returns an
// error for a set without such a key, which must be a mistake.
func (s *keySet) read(answer []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(answer, &set); err != nil {
		return nil, errors.New("the answer is no JWK Set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the JWK Set has more than %d keys", maxKeys)
	}
	var keys []key
	for i, written := range set.Keys {
		k, err := readJWK(written)
		if err != nil {
			s.logger.Debug("key of the JWK Set not used", slog.Int("number", i+1), slog.String("kid", k.id),
				slog.Any("error", err))
			continue
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("the JWK Set has no key that verifies signatures; it needs RSA, ECDSA or Ed25519 keys")
	}
	return keys, nil
}

// readJWK parses one public key (RFC 7517, section 4). The library is not asked for private parts, so that it refuses
// secret keys, which a public set must not have. It does not fetch the certificates of an x5u.
func readJWK(written json.RawMessage) (key, error) {
	var m jwkset.JWKMarshal
	if err := json.Unmarshal(written, &m); err != nil {
		return key{}, errors.New("it is no JWK")
	}
	refused := key{id: m.KID}
	switch {
	case m.USE != "" && m.USE != jwkset.UseSig:
		return refused, errors.New("its use is not sig")
	case len(m.KEYOPS) > 0 && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify):
		return refused, errors.New("its key_ops lack verify")
	}
	jwk, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return refused, errors.New("its parameters are wrong, or its type is not known here")
	}
	k, err := newKey(m.KID, jwk.Key())
	if err != nil || m.ALG == "" {
		return k, err
	}
	if !k.fits(m.ALG.String()) {
		return refused, errors.New("its alg is not for such a key")
	}
	k.algorithms = []string{m.ALG.String()}
	return k, nil
}
