package golden

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const page = "# Title\n<!-- BEGIN a -->\n\nold\n\n<!-- END a -->\nbetween\n<!-- BEGIN b -->\n<!-- END b -->\n"

// rewrite runs a check with -update.
func rewrite(t *testing.T, check func()) {
	t.Helper()
	*update = true
	defer func() { *update = false }()
	check()
}

func TestSectionRewritesItsPartOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	require.NoError(t, os.WriteFile(path, []byte(page), 0o600))
	Section(t, path, "a", "old")
	rewrite(t, func() { Section(t, path, "a", "new\n") })
	rewrite(t, func() { Section(t, path, "b", "table") })
	Section(t, path, "a", "new")
	Section(t, path, "b", "table\n")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t,
		"# Title\n<!-- BEGIN a -->\n\nnew\n\n<!-- END a -->\nbetween\n<!-- BEGIN b -->\n\ntable\n\n<!-- END b -->\n",
		string(content))
}

func TestFileIsCreatedByAnUpdate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "testdata", "help.txt")
	rewrite(t, func() { File(t, path, "text\n") })
	File(t, path, "text\n")
}
