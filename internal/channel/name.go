package channel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameBytes is the protocol's usual bound, in bytes, and leaves room for a prefix in Redis.
const MaxNameBytes = 255

// ValidName refuses names of channels that could not be logged, typed or stored.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && utf8.ValidString(name) && !strings.ContainsFunc(name,
		unicode.IsControl)
}
