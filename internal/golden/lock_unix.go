//go:build unix

package golden

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// lock blocks until no other test process reads or rewrites the file at path. Tests of several packages keep
// a part of the same file, and `go test ./...` runs packages in parallel. The caller calls unlock afterwards.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(file.Fd()), syscall.LOCK_EX))
	return func() { _ = file.Close() }
}
