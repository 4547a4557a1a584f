//go:build !unix

package golden

import "testing"

// lock does nothing: this system has no advisory locks that the standard library knows.
func lock(testing.TB, string) (unlock func()) { return func() {} }
