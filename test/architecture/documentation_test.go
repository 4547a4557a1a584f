package architecture_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// reference is how the documentation names a function: `gateway/hub/hub.go:New`, or `...:Hub.Publish` for a method.
var reference = regexp.MustCompile("`([a-z][\\w./-]*\\.go):([A-Za-z_]\\w*(?:\\.[A-Za-z_]\\w*)?)`")

func TestDocumentationNamesFunctionsThatExist(t *testing.T) {
	found := 0
	for _, page := range trackedFiles(t, ".md") {
		for _, match := range reference.FindAllStringSubmatch(read(t, page), -1) {
			found++
			file, name := match[1], match[2]
			assert.Contains(t, declarations(t, file), name, "%s names %s", page, match[0])
		}
	}
	require.Greater(t, found, 20, "the walks in docs/architecture.md name their functions")
}

// declarations returns the names of a file's functions, methods (Type.Method), interface methods and types. A file that
// cannot be parsed has none.
func declarations(t *testing.T, path string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.SkipObjectResolution)
	if !assert.NoError(t, err) {
		return names
	}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			names[strings.TrimPrefix(receiver(d)+"."+d.Name.Name, ".")] = true
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				declareType(names, spec)
			}
		}
	}
	return names
}

func declareType(names map[string]bool, spec ast.Spec) {
	declared, ok := spec.(*ast.TypeSpec)
	if !ok {
		return
	}
	names[declared.Name.Name] = true
	if i, ok := declared.Type.(*ast.InterfaceType); ok {
		for _, method := range i.Methods.List {
			for _, name := range method.Names {
				names[declared.Name.Name+"."+name.Name] = true
			}
		}
	}
}

func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if identifier, ok := n.(*ast.Ident); ok && name == "" {
			name = identifier.Name
		}
		return name == ""
	})
	return name
}

// link is a relative Markdown link; its fragment is not looked at.
var link = regexp.MustCompile(`\]\(([^)#\s]+)(?:#[^)\s]*)?\)`)

func TestDocumentationLinksToFilesThatExist(t *testing.T) {
	for _, page := range trackedFiles(t, ".md") {
		for _, match := range link.FindAllStringSubmatch(read(t, page), -1) {
			target := match[1]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			_, err := os.Stat(filepath.Join(root, filepath.Dir(page), target))
			assert.NoError(t, err, "%s links to %s", page, target)
		}
	}
}

// pathInText is a path of the repository in backquotes.
var pathInText = regexp.MustCompile("`((?:api|cmd|config|controllers|docs|gateway|hack|internal|test)/[\\w./-]+)`")

func TestDocumentationNamesPathsThatExist(t *testing.T) {
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/README.md"} {
		for _, match := range pathInText.FindAllStringSubmatch(read(t, page), -1) {
			_, err := os.Stat(filepath.Join(root, match[1]))
			assert.NoError(t, err, "%s names %s", page, match[1])
		}
	}
}
