package contract

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/wsfleet/wsfleet/"

// The operator and the gateway share only internal. Tests count too: a test of the operator that needs the gateway
// belongs here.
func TestOperatorAndGatewayDoNotImportEachOther(t *testing.T) {
	for directory, forbidden := range map[string][]string{
		"api":         {module + "controllers", module + "gateway", module + "internal"},
		"controllers": {module + "gateway", module + "cmd"},
		"gateway":     {module + "controllers", module + "api", module + "cmd", "k8s.io/", "sigs.k8s.io/controller-"},
	} {
		for file, imports := range importsBelow(t, directory) {
			for _, path := range imports {
				for _, prefix := range forbidden {
					assert.False(t, strings.HasPrefix(path, prefix), "%s imports %s", file, path)
				}
			}
		}
	}
}

// importsBelow returns the imports of every Go file below a directory of the module.
func importsBelow(t *testing.T, directory string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	walk := func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(file) != ".go" {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			found[file] = append(found[file], path)
		}
		return nil
	}
	require.NoError(t, filepath.WalkDir(filepath.Join("..", "..", directory), walk))
	require.NotEmpty(t, found, directory)
	return found
}
