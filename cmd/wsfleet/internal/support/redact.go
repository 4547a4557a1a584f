// Package support makes the archive of `kubectl wsc report`, from which it removes what may be a secret. It is pure:
// objects go in, and bytes come out.
package support

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
)

// removed stands for what may be a secret.
const removed = "(removed)"

// sensitive matches a name whose value is a secret.
const sensitive = `(?i)[a-z0-9_.-]*` +
	`(?:password|passwd|secret|token|credentials?|api[-_]?key|jwt[-_]?key|private[-_]?key)`

var (
	// urlPassword is the user and password of a URL. A user name alone may be a token.
	urlPassword = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^/\s"'?#]*@`)
	// urlQuery is the query of a URL, which may have a key.
	urlQuery = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'?]+\?)[^\s"']+`)
	// assignment gives a secret in a text, such as the argument of a program, JSON, or a header.
	assignment = regexp.MustCompile(`(` + sensitive + `(?:["']?\s*=\s*|["']\s*:\s*)|(?i:password|api-key):\s*)` +
		`(?:"[^"]*"|'[^']*'|[^\s"',;}]+)`)
	// authorization is the value of a header that an HTTP client logs in with.
	authorization = regexp.MustCompile(`(?i)\b((?:bearer|basic|apikey)\s+)[a-z0-9+/._~-]{8,}=*`)
	// secretFlag is the argument of a program that announces a secret as the next one.
	secretFlag = regexp.MustCompile(`^--?` + sensitive + `$`)
)

// Redact returns the JSON value that v is, without what may be a secret: values of environment variables and headers,
// the passwords and queries of URLs, what is assigned to a name of a secret in a text, and what Kubernetes keeps of
// applied objects. References to Secrets stay. It returns an error when v has no JSON.
func Redact(v any) (any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	var value any
	if err := json.Unmarshal(text, &value); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return redactValue(value), nil
}

// RedactText returns a text without what may be a secret.
func RedactText(text string) string {
	text = urlPassword.ReplaceAllString(text, "${1}"+removed+"@")
	text = urlQuery.ReplaceAllString(text, "${1}"+removed)
	text = authorization.ReplaceAllString(text, "${1}"+removed)
	return assignment.ReplaceAllString(text, "${1}"+removed)
}

func redactValue(value any) any {
	switch v := value.(type) {
	case string:
		return RedactText(v)
	case []any:
		return redactList(v)
	case map[string]any:
		return redactObject(v)
	}
	return value
}

// redactList redacts the values of a list, among them one that the one before announces.
func redactList(list []any) []any {
	announced := false
	for i := range list {
		text, isText := list[i].(string)
		if isText && announced {
			list[i] = removed
		} else {
			list[i] = redactValue(list[i])
		}
		announced = isText && secretFlag.MatchString(text)
	}
	return list
}

// redactObject redacts the values of an object. One with a name and a value is an environment variable or a header.
func redactObject(object map[string]any) map[string]any {
	delete(object, "managedFields")
	_, isNamed := object["name"].(string)
	for key, value := range object {
		switch {
		case key == "value" && isNamed:
			object[key] = removed
		case key == "annotations":
			object[key] = redactAnnotations(value)
		default:
			object[key] = redactValue(value)
		}
	}
	return object
}

// redactAnnotations redacts the values of annotations, which may repeat a whole object as text.
func redactAnnotations(value any) any {
	annotations, ok := value.(map[string]any)
	if !ok {
		return redactValue(value)
	}
	for key, value := range annotations {
		// As kubectl apply and other tools keep what was applied.
		if text, isText := value.(string); isText && strings.HasPrefix(strings.TrimSpace(text), "{") {
			annotations[key] = removed
			continue
		}
		annotations[key] = redactValue(value)
	}
	return annotations
}
