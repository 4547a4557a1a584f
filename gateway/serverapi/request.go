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

// read is a request's body.
func (a *API) read(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return nil, a.bodyTooLarge(large.Limit)
		}
		return nil, unreadable("the request body could not be read")
	}
	// JSON keeps such bytes, and a text frame that holds them makes every browser hang up.
	if !utf8.Valid(body) {
		return nil, unreadable("the request body is not UTF-8; send bytes as b64data")
	}
	return body, nil
}

// decode reads a request. An empty body is one without fields.
func decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	err := json.Unmarshal(body, into)
	if mismatch, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		// What was found begins with its kind; the value behind that may be a secret.
		found, _, _ := strings.Cut(mismatch.Value, " ")
		if mismatch.Field == "" {
			return unreadable("the request body: want %s, not %s", words(mismatch.Type), found)
		}
		return unreadable("%s: want %s, not %s", mismatch.Field, words(mismatch.Type), found)
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return unreadable("the request body is not JSON: it goes wrong at byte %d", syntax.Offset)
	}
	if err != nil {
		return unreadable("the request body is not the JSON of a request")
	}
	return nil
}

// words say what a field takes.
func words(t reflect.Type) string {
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
