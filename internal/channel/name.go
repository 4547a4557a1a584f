package channel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// LongestName is the protocol's usual bound, in bytes, and leaves room for a prefix in Redis.
const LongestName = 255

// GoodName refuses names of channels that could not be logged, typed or stored.
func GoodName(name string) bool {
	return name != "" && len(name) <= LongestName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}
