// Package recipes_test follows recipes of CONTRIBUTING.md on a copy of the tree, literally: it puts each step's block
// where the step says and runs the commands, so that the recipes stay true.
package recipes_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const root = "../.."

// step is one thing that a recipe tells a contributor to do.
type step struct {
	// file, anchor and above are set for a step that puts the block into a file, next to the first line that contains
	// the anchor.
	file, anchor string
	above        bool
	// block holds lines of a file, or commands when file is empty.
	block string
}

var (
	// place is where a step puts its block.
	place = regexp.MustCompile("In\\s+`([^`]+)`, (above|below) `([^`]+)`:\\s*$")
	// fence is a block within a list, with its indentation.
	fence = regexp.MustCompile("(?ms)^( *)```(\\w+)\n(.*?)^ *```$")
)

// readRecipe returns the steps of the recipe with a name, in their order.
func readRecipe(t *testing.T, name string) []step {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "CONTRIBUTING.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "<!-- BEGIN recipe "+name+" -->")
	require.True(t, found, "the recipe begins")
	text, _, found := strings.Cut(rest, "<!-- END recipe "+name+" -->")
	require.True(t, found, "the recipe ends")
	var steps []step
	before := 0
	for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
		words, language := text[before:at[0]], text[at[4]:at[5]]
		before = at[1]
		one := step{block: outdent(text[at[6]:at[7]], text[at[2]:at[3]])}
		if match := place.FindStringSubmatch(words); match != nil {
			one.file, one.above, one.anchor = match[1], match[2] == "above", match[3]
		} else {
			require.Equal(t, "sh", language, "a block that names no place is commands: %s", one.block)
		}
		steps = append(steps, one)
	}
	require.NotEmpty(t, steps)
	return steps
}

func outdent(block, indent string) string {
	var out strings.Builder
	for line := range strings.Lines(block) {
		out.WriteString(strings.TrimPrefix(line, indent))
	}
	return out.String()
}

// tree is a copy of the repository.
type tree struct{ directory string }

// copyTree copies the files that git tracks, or would. Tools that were built are shared.
func copyTree(t *testing.T) tree {
	t.Helper()
	copied := tree{t.TempDir()}
	top, err := filepath.Abs(root)
	require.NoError(t, err)
	copied.runIn(t, top, `git ls-files -z --cached --others --exclude-standard |
		while IFS= read -r -d '' file; do if [ -e "$file" ]; then printf '%s\0' "$file"; fi; done |
		tar --null -T - -cf - | tar -xf - -C `+copied.directory)
	require.NoError(t, os.MkdirAll(filepath.Join(top, "bin", "tools"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(copied.directory, "bin"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(top, "bin", "tools"), filepath.Join(copied.directory, "bin", "tools")))
	return copied
}

func (c tree) run(t *testing.T, commands string) string {
	t.Helper()
	return c.runIn(t, c.directory, commands)
}

func (c tree) runIn(t *testing.T, directory, commands string) string {
	t.Helper()
	shell := exec.Command("bash", "-euo", "pipefail", "-c", commands)
	shell.Dir = directory
	out, err := shell.CombinedOutput()
	require.NoError(t, err, "%s\n%s", commands, out)
	return string(out)
}

func (c tree) read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(c.directory, file))
	require.NoError(t, err)
	return string(text)
}

// follow does what the steps say.
func (c tree) follow(t *testing.T, steps []step) {
	t.Helper()
	for _, one := range steps {
		if one.file == "" {
			c.run(t, one.block)
			continue
		}
		c.insert(t, one)
	}
}

func (c tree) insert(t *testing.T, one step) {
	t.Helper()
	lines := strings.SplitAfter(c.read(t, one.file), "\n")
	for i, line := range lines {
		if !strings.Contains(line, one.anchor) {
			continue
		}
		if !one.above {
			i++
		}
		text := strings.Join(lines[:i], "") + one.block + strings.Join(lines[i:], "")
		require.NoError(t, os.WriteFile(filepath.Join(c.directory, one.file), []byte(text), 0o600))
		return
	}
	require.Fail(t, "a step's place", "%s has no line with %q", one.file, one.anchor)
}
