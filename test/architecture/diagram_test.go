package architecture_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wsfleet/wsfleet/internal/golden"
)

// The diagram is drawn from the imports.
func TestDiagramShowsTheImports(t *testing.T) {
	golden.Section(t, filepath.Join(root, "docs/architecture.md"), "imports", diagram(allPackages(t)))
}

// diagram returns the Mermaid graph of the program's packages: parts that belong together are one node, and an arrow
// goes from the package that imports to the one that is imported.
func diagram(all []goPackage) string {
	var arrows []string
	for _, p := range all {
		from, shown := node(p.Path)
		if !shown || p.Path == assembly {
			continue
		}
		for _, imported := range p.Imports {
			if to, shown := node(imported); shown && to != from {
				arrows = append(arrows, fmt.Sprintf("  %s --> %s\n", label(from), label(to)))
			}
		}
	}
	slices.Sort(arrows)
	return "```mermaid\nflowchart LR\n" + strings.Join(slices.Compact(arrows), "") + "```\n"
}

// together are directories that the diagram shows as one node.
var together = []string{
	"api/v1alpha1", "gateway/broker", "gateway/protocol",
	"controllers/render", "controllers/status", "controllers/fleet",
}

// assembly is the package that puts all parts of a gateway together: its arrows would go to all of them.
const assembly = "gateway"

// notShown are imported from everywhere, and would hide the rest.
var notShown = []string{
	"internal/recovery", "internal/golden", "internal/sleep", "internal/ratelog", "internal/channel", "internal/contract",
	"internal/loglevel", "internal/promdoc", "internal/timeout",
	"gateway/broker/brokertest", "gateway/broker/redistest", "gateway/serverapi/serverapitest",
	"internal/certtest",
}

// node returns the diagram's node of a package, and whether the diagram shows it.
func node(path string) (name string, shown bool) {
	top, _, _ := strings.Cut(path, "/")
	if !slices.Contains([]string{"api", "cmd", "controllers", "gateway", "internal"}, top) {
		return "", false
	}
	for _, directory := range notShown {
		if within(path, directory) {
			return "", false
		}
	}
	for _, directory := range together {
		if within(path, directory) {
			return directory, true
		}
	}
	return path, true
}

func label(path string) string {
	return fmt.Sprintf("%s[%s]", strings.NewReplacer("/", "_").Replace(path), path)
}
