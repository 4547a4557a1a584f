// Package golden compares what a test produced with a file that is kept in the repository. Tests of all
// packages use it. `go test PACKAGE -update` rewrites the files instead of comparing them.
package golden

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files instead of comparing with them")

// File asserts that the file at path holds got. With -update it writes got to the file instead.
func File(t testing.TB, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run this test with -update")
	require.Equal(t, string(want), got, "%s is out of date: run this test with -update", path)
}

// Section asserts that one marked part of the file at path holds got. The part begins after the line
// `<!-- BEGIN name -->` and ends before the line `<!-- END name -->`; both lines must exist, the first one
// once. With -update it writes got between the two lines instead. The rest of the file belongs to other
// authors and stays as it is.
func Section(t testing.TB, path, name, got string) {
	t.Helper()
	unlock := lock(t, path)
	defer unlock()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	before, after, want := cut(t, string(content), path, name)
	got = "\n" + strings.TrimSpace(got) + "\n\n"
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(before+got+after), 0o644))
		return
	}
	require.Equal(t, want, got, "the part %q of %s is out of date: run this test with -update", name, path)
}

// cut splits content around a marked part. before ends with the first marker's line, after begins with the
// second marker.
func cut(t testing.TB, content, path, name string) (before, after, part string) {
	t.Helper()
	begin, end := "<!-- BEGIN "+name+" -->\n", "<!-- END "+name+" -->"
	require.Equal(t, 1, strings.Count(content, begin), "%s must have the line %s once", path, strings.TrimSpace(begin))
	before, rest, _ := strings.Cut(content, begin)
	part, after, found := strings.Cut(rest, end)
	require.True(t, found, "%s must have the line %s after %s", path, end, strings.TrimSpace(begin))
	return before + begin, end + after, part
}
