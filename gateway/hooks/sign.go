package hooks

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The bounds of a key in Standard Webhooks, and the prefix of its text.
const (
	minKeyBytes  = 24
	maxKeyBytes  = 64
	secretPrefix = "whsec_"
)

// errSecret does not contain the secret, because it is logged.
var errSecret = fmt.Errorf("must be %s followed by the base64 of %d to %d bytes", secretPrefix, minKeyBytes,
	maxKeyBytes)

// signer signs requests by the Standard Webhooks specification, with each of its keys. Without keys it adds no
// signature.
type signer []*standardwebhooks.Webhook

// newSigner returns a signer with the keys in secrets, which are separated by spaces. It returns errSecret for a text
// that is not a key, and an error when there are only spaces.
func newSigner(secrets string) (signer, error) {
	var s signer
	for secret := range strings.FieldsSeq(secrets) {
		encoded, prefixed := strings.CutPrefix(secret, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !prefixed || err != nil || len(key) < minKeyBytes || len(key) > maxKeyBytes {
			return nil, errSecret
		}
		webhook, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errSecret
		}
		s = append(s, webhook)
	}
	if len(s) == 0 && secrets != "" {
		return nil, errors.New("has nothing but spaces")
	}
	return s, nil
}

// sign adds the headers of a message. The id of a message stays the same when it is sent again. It returns an error
// when a key cannot sign.
func (s signer) sign(h http.Header, id string, body []byte) error {
	now := time.Now()
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	signatures := make([]string, 0, len(s))
	for _, webhook := range s {
		signature, err := webhook.Sign(id, now, body)
		if err != nil {
			return fmt.Errorf("sign: %w", err)
		}
		signatures = append(signatures, signature)
	}
	if len(signatures) > 0 {
		h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}
