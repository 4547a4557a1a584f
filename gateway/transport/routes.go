package transport

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// routes finds the endpoint of a handshake that the event loop received. It supports two kinds of patterns of
// http.ServeMux: a path, and a path in which whole segments are variables, as in /app/{key} and /files/{path...}. A
// request without an endpoint here goes to the HTTP server, whose ServeMux has all patterns. That covers paths that are
// not clean, patterns with a host or a method, and {$}.
type routes struct {
	// exact maps paths without variables.
	exact map[string]*Endpoint
	// patterns holds the patterns with variables. Of two that match the same path, the more specific one is first.
	patterns []route
}

// route is a pattern with variables.
type route struct {
	pattern  string
	segments []segment
	endpoint *Endpoint
}

// segment is a part of a pattern between two slashes.
type segment struct {
	kind segmentKind
	// text is the literal, or the variable's name.
	text string
}

// segmentKind is ordered by how much a segment matches, the most specific kind first.
type segmentKind int

const (
	literalSegment segmentKind = iota
	variableSegment
	restSegment
)

// newRoutes returns the routes to endpoints, whose keys are patterns. ServeMux refuses conflicting patterns.
func newRoutes(endpoints map[string]*Endpoint) *routes {
	r := &routes{exact: map[string]*Endpoint{}}
	for pattern, e := range endpoints {
		if !strings.Contains(pattern, "{") {
			r.exact[pattern] = e
		} else if segments, ok := parsePattern(pattern); ok {
			r.patterns = append(r.patterns, route{pattern: pattern, segments: segments, endpoint: e})
		}
	}
	// Patterns do not conflict, so of two that match the same path one is more specific.
	slices.SortFunc(r.patterns, func(a, b route) int {
		return slices.CompareFunc(a.segments, b.segments, func(a, b segment) int { return cmp.Compare(a.kind, b.kind) })
	})
	return r
}

// parsePattern splits a pattern into segments. It reports false for a pattern that only ServeMux supports.
func parsePattern(pattern string) (segments []segment, ok bool) {
	rooted, ok := strings.CutPrefix(pattern, "/")
	if !ok {
		return nil, false
	}
	for part := range strings.SplitSeq(rooted, "/") {
		name, opened := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		rest, isRest := strings.CutSuffix(name, "...")
		switch {
		case !opened && !closed && part != "":
			literal, err := url.PathUnescape(part)
			if err != nil {
				return nil, false
			}
			segments = append(segments, segment{kind: literalSegment, text: literal})
		case !opened || !closed || name == "$":
			return nil, false
		case isRest:
			segments = append(segments, segment{kind: restSegment, text: rest})
		default:
			segments = append(segments, segment{kind: variableSegment, text: name})
		}
	}
	return segments, true
}

// find returns the endpoint of a request, or nil for one that it leaves to ServeMux. Like ServeMux, it sets the path
// values and the pattern of the request.
func (r *routes) find(request *http.Request) *Endpoint {
	escaped := request.URL.EscapedPath()
	if strings.Count(escaped, "/") < strings.Count(request.URL.Path, "/") {
		// An escaped slash is part of a segment. One that is a whole segment ends the path for ServeMux.
		if len(r.patterns) == 0 || strings.Contains(strings.ToUpper(escaped)+"/", "/%2F/") {
			return nil
		}
	} else if e := r.exact[request.URL.Path]; e != nil || len(r.patterns) == 0 {
		return e
	}
	if !strings.HasPrefix(escaped, "/") || path.Clean(escaped) != escaped {
		return nil
	}
	for _, candidate := range r.patterns {
		values, ok := candidate.match(escaped[1:])
		if !ok {
			continue
		}
		for name, value := range values {
			request.SetPathValue(name, value)
		}
		request.Pattern = candidate.pattern
		return candidate.endpoint
	}
	return nil
}

// match matches an escaped path without its first slash. It returns the values of the variables by their names, and nil
// without variables.
func (r *route) match(escaped string) (values map[string]string, ok bool) {
	for i, s := range r.segments {
		last := i == len(r.segments)-1
		part, rest, more := strings.Cut(escaped, "/")
		if s.kind == restSegment {
			part, more = escaped, false
		}
		text, err := url.PathUnescape(part)
		if err != nil || more == last || text == "" {
			return nil, false
		}
		if s.kind == literalSegment && s.text != text {
			return nil, false
		}
		if s.kind != literalSegment {
			if values == nil {
				values = map[string]string{}
			}
			values[s.text] = text
		}
		escaped = rest
	}
	return values, true
}
