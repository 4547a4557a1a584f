package hooks

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzParse: an answer is exactly one of a result, a refusal that a client may see, and a failure; and
// what names a refusal is never a result, nor a failure that Allow lets pass.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`{"result":{"user":"u","expire_at":1,"info":{},"data":[1],"channels":["a"],` +
			`"caps":[{"channels":["a"],"match":"wildcard","allow":["sub"]}]}}`,
		`{"result":{"b64data":"AP8="}}`, `{"error":{"code":403,"message":"no","temporary":true}}`,
		`{"disconnect":{"code":4001,"reason":"bye"}}`, `{"error":{"code":-1}}`, `{"Error":{"code":1e3}}`,
		`{"error":null,"disconnect":[],"result":{}}`, `{"result":{"data":1,"b64data":""}}`, `null`, "\xff", `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parse(body)
		if e, ok := errors.AsType[*Error](err); ok {
			require.True(t, e.Code >= 400 && e.Code <= 1999 || e.Code >= 100 && e.Code <= 112)
			return
		}
		if d, ok := errors.AsType[*Disconnect](err); ok {
			require.True(t, d.Code >= 4000 && d.Code <= 4999 || d.Code >= 3500 && d.Code <= 3507)
			require.LessOrEqual(t, len(d.Reason), 123)
			return
		}
		var members map[string]any
		refuses := json.Unmarshal(body, &members) == nil && (members["error"] != nil || members["disconnect"] != nil)
		if fail, ok := errors.AsType[*failure](err); ok {
			require.True(t, fail.responded || !refuses)
			return
		}
		require.NoError(t, err)
		require.False(t, refuses)
		require.GreaterOrEqual(t, r.ExpireAt, int64(0))
		require.True(t, r.Info == nil || json.Valid(r.Info) && utf8.Valid(r.Info))
		require.True(t, r.payload.Bytes == nil || r.payload.Binary || r.payload.isJSON())
	})
}

// FuzzRetryAfter: whatever a receiver asks for, the next attempt is made within a bounded time.
func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "0", "120", "-1", "99999999999999999999", "Wed, 21 Oct 2065 07:28:00 GMT",
		"Wed, 21 Oct 2015 07:28:00 GMT", "soon"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		require.LessOrEqual(t, retryAfter(&http.Response{Header: http.Header{"Retry-After": {value}}}), 5*time.Minute)
	})
}
