package channel

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxNameBytes is the maximum length of a channel's name in bytes.
const MaxNameBytes = 255

// ValidName reports whether a text can be the name of a channel: UTF-8 of 1 to MaxNameBytes bytes without control
// characters.
func ValidName(name string) bool {
	return name != "" && len(name) <= MaxNameBytes && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, unicode.IsControl)
}
