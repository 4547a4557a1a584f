package canned

import (
	"bytes"
	"iter"
)

// members iterates over the keys of a JSON object, without their quotes, and its encoded values. It stops at the first
// byte that is no JSON.
func members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		b := bytes.TrimLeft(object, " \t\r\n{")
		for len(b) > 0 && b[0] == '"' {
			key, rest := value(b)
			rest = bytes.TrimLeft(rest, " \t\r\n:")
			v, rest := value(rest)
			if len(v) == 0 || !yield(bare(key), v) {
				return
			}
			b = bytes.TrimLeft(rest, " \t\r\n,")
		}
	}
}

// member returns the encoded value of a key, or nil.
func member(object []byte, name string) []byte {
	for key, value := range members(object) {
		if string(key) == name {
			return value
		}
	}
	return nil
}

// bare removes the quotes of a string.
func bare(text []byte) []byte { return bytes.Trim(text, `"`) }

// value splits b behind the first JSON value.
func value(b []byte) (v, rest []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
			if !quoted && depth == 0 {
				return b[:i+1], b[i+1:]
			}
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			if depth--; depth == 0 {
				return b[:i+1], b[i+1:]
			}
		case depth == 0 && bytes.IndexByte([]byte(",}] \t\r\n"), c) >= 0:
			return b[:i], b[i:]
		}
	}
	return b, nil
}
