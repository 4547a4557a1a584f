package console_test

import (
	"io/fs"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/console"
)

// The private port serves the page with a policy that allows only files of its own: the page must work without
// foreign resources, inline scripts and inline styles.
func TestFilesNeedNoForeignResources(t *testing.T) {
	forbidden := regexp.MustCompile(
		`(?i)(src|href)="(https?:)?//|<script>|<style|\sstyle="|\son[a-z]+="|@import|url\(|eval\(|innerHTML`)
	var names []string
	require.NoError(t, fs.WalkDir(console.Files(), ".", func(path string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if entry.IsDir() {
			return nil
		}
		names = append(names, path)
		content, err := fs.ReadFile(console.Files(), path)
		require.NoError(t, err)
		require.Empty(t, forbidden.FindString(string(content)), path)
		return nil
	}))
	require.Equal(t, []string{"console.css", "console.js", "icon.svg", "index.html"}, names)
}
