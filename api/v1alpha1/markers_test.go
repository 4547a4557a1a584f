package v1alpha1

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gofmt makes one typographic quote of two single ones in a comment, which breaks a CEL rule in it.
func TestRulesHaveNoTypographicQuotes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.NotRegexp(t, "[\u2018\u2019\u201c\u201d]", string(raw), file)
	}
}
