// Package architecture_test holds the repository to what docs/architecture.md and CONTRIBUTING.md say of it: which
// package may import which, what the images are built from, which words are in use, and that what the documentation
// names exists.
package architecture_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/wsfleet/wsfleet"

// root is the repository's top directory, seen from this package.
const root = "../.."

// goPackage is what `go list` says of a package of this module. Paths are relative to the module, "" is its root.
type goPackage struct {
	Path string
	// Imports are the packages that its code imports, TestImports those that only its tests do.
	Imports, TestImports []string
}

// packages returns all packages of the module, in the order of their paths. Imports from other modules keep their
// full path.
var packages = sync.OnceValues(func() ([]goPackage, error) {
	list := exec.Command("go", "list", "-tags", "e2e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	list.Dir = root
	list.Stderr = os.Stderr
	out, err := list.Output()
	if err != nil {
		return nil, err
	}
	var all []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p struct {
			ImportPath                         string
			Imports, TestImports, XTestImports []string
		}
		if err := decoder.Decode(&p); err != nil {
			return nil, err
		}
		tests := slices.DeleteFunc(own(append(p.TestImports, p.XTestImports...)), func(path string) bool {
			return slices.Contains(own(p.Imports), path)
		})
		all = append(all, goPackage{Path: inModule(p.ImportPath), Imports: own(p.Imports), TestImports: tests})
	}
	return all, nil
})

func allPackages(t *testing.T) []goPackage {
	t.Helper()
	all, err := packages()
	require.NoError(t, err)
	require.NotEmpty(t, all)
	return all
}

func inModule(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

// own returns the paths in their order, once each, with those of this module relative to it.
func own(paths []string) []string {
	out := make([]string, 0, len(paths))
	for _, path := range paths {
		out = append(out, inModule(path))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// within reports whether a path is the directory or below it.
func within(path, directory string) bool {
	return path == directory || strings.HasPrefix(path, directory+"/")
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	require.NoError(t, err)
	return string(text)
}

// trackedFiles returns the files of the repository with one of the extensions, without packages of others.
func trackedFiles(t *testing.T, extensions ...string) []string {
	t.Helper()
	var out []string
	require.NoError(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "bin", "dist"}, entry.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if slices.Contains(extensions, filepath.Ext(path)) {
			out = append(out, relative)
		}
		return nil
	}))
	return out
}
