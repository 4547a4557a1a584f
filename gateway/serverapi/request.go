package serverapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"unicode/utf8"
)

// readBody returns the body of a request. It returns an *apiError when it is larger than limit bytes or not UTF-8.
func (a *API) readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, a.bodyTooLarge(large.Limit)
		}
		return nil, malformed("the request body could not be read")
	}
	// JSON keeps invalid UTF-8, and every browser closes the connection when a text frame contains it (RFC 6455,
	// section 8.1).
	if !utf8.Valid(body) {
		return nil, malformed("the request body is not UTF-8; send bytes as b64data")
	}
	return body, nil
}

// decode decodes a body. An empty body is a request without fields. It returns an *apiError that contains no values of
// the body.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	err := json.Unmarshal(body, into)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// Value begins with the kind of the JSON value. The value that follows may be a secret.
		found, _, _ := strings.Cut(mismatch.Value, " ")
		if mismatch.Field == "" {
			return malformed("the request body: want %s, not %s", typeName(mismatch.Type), found)
		}
		return malformed("%s: want %s, not %s", mismatch.Field, typeName(mismatch.Type), found)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return malformed("the request body is not JSON: it goes wrong at byte %d", syntax.Offset)
	}
	if err != nil {
		return malformed("the request body is not the JSON of a request")
	}
	return nil
}

// typeName returns what a field takes.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Uint64:
		return "a whole number from 0"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}
