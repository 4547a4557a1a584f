package v1alpha1

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gofmt replaces two single quotes in a comment by a typographic one, which breaks a CEL rule in it.
func TestMarkersHaveNoTypographicQuotes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotRegexp(t, "[\u2018\u2019\u201c\u201d]", string(raw), file)
	}
}
