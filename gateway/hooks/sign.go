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

// Bounds of a key, as Standard Webhooks has them, and the prefix by which libraries know one.
const (
	leastKey     = 24
	mostKey      = 64
	secretPrefix = "whsec_"
)

// errSecret does not repeat the secret: it goes to the log.
var errSecret = fmt.Errorf("must be %s followed by the base64 of %d to %d bytes", secretPrefix, leastKey, mostKey)

// signer signs requests as Standard Webhooks says, with each of its keys. Without keys it does not.
type signer []*standardwebhooks.Webhook

func newSigner(secrets string) (signer, error) {
	var s signer
	for secret := range strings.FieldsSeq(secrets) {
		encoded, prefixed := strings.CutPrefix(secret, secretPrefix)
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !prefixed || err != nil || len(key) < leastKey || len(key) > mostKey {
			return nil, errSecret
		}
		one, err := standardwebhooks.NewWebhookRaw(key)
		if err != nil {
			return nil, errSecret
		}
		s = append(s, one)
	}
	if len(s) == 0 && secrets != "" {
		return nil, errors.New("has nothing but spaces")
	}
	return s, nil
}

// sign adds the headers of a message with an id, which stays the same when it is sent again.
func (s signer) sign(h http.Header, id string, body []byte) error {
	now := time.Now()
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	signatures := make([]string, 0, len(s))
	for _, one := range s {
		signature, err := one.Sign(id, now, body)
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
