package architecture_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// rule says what the packages below a directory must not import, and why.
type rule struct {
	directory string
	// forbidden are directories of this module, or import paths of others, that end in "/..." with all below them.
	forbidden []string
	// except are directories below for which the rule does not hold, because they have rules of their own.
	except []string
	// allowed are directories of this module that may be imported although forbidden names one above them.
	allowed []string
	// tests: the rule holds for test files too.
	tests bool
	why   string
}

var rules = []rule{
	{
		directory: "controllers",
		forbidden: []string{"gateway/...", "internal/simulate/..."},
		tests:     true,
		why:       "the operator and the gateway share internal/ only, and no simulation",
	},
	{
		directory: "gateway",
		forbidden: []string{"controllers/...", "api/...", "k8s.io/...", "sigs.k8s.io/...", "internal/simulate/..."},
		tests:     true,
		why:       "the gateway runs without Kubernetes",
	},
	{
		directory: "internal",
		except:    []string{"internal/simulate"},
		forbidden: []string{"gateway/...", "controllers/...", "api/...", "cmd/...", "internal/simulate/..."},
		why:       "what both sides share depends on neither",
	},
	{
		directory: "internal/simulate",
		forbidden: []string{
			"gateway/...", "controllers/...", "cmd/...", "internal/load/...", "sigs.k8s.io/controller-runtime/...",
			"k8s.io/client-go/...", "net/...", "os", "sync",
		},
		allowed: []string{"gateway/drain", "controllers/plan", "controllers/render", "controllers/fleet"},
		why:     "a simulation decides and drains as the operator and the gateways do, and reaches neither",
	},
	{
		directory: "controllers/render",
		forbidden: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/kubernetes/...", "net/http"},
		why:       "render is pure: a spec goes in, objects come out",
	},
	{
		directory: "controllers/plan",
		forbidden: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/...", "net/http", "time", "context"},
		why:       "plan is pure: an observation goes in, a decision comes out",
	},
	{
		directory: "controllers/status",
		forbidden: []string{"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/...", "net/http", "context"},
		why:       "status is pure: an observation goes in, a status comes out",
	},
	{
		directory: "cmd/wsfleet",
		forbidden: []string{"gateway/...", "controllers"},
		why:       "the tool knows gateways by internal/contract, and uses the operator's decisions, not the operator",
	},
	{
		directory: "cmd/wsfleet/internal/fleetview",
		forbidden: []string{
			"sigs.k8s.io/controller-runtime/...", "k8s.io/client-go/...", "net/http", "context",
			"cmd/wsfleet/internal/fleetclient",
		},
		why: "fleetview is pure: an observation goes in, a view comes out",
	},
	{
		directory: "gateway/transport",
		forbidden: []string{"gateway/hub/...", "gateway/session/...", "gateway/broker/...", "gateway/protocol/..."},
		why:       "the transport knows bytes and connections, no channels",
	},
	{
		directory: "gateway/broker",
		forbidden: []string{"gateway/hub/...", "gateway/session/...", "gateway/transport/...", "gateway/protocol/..."},
		why:       "a broker does not know what its publications are delivered to",
	},
	{
		directory: "api",
		forbidden: []string{"controllers/...", "gateway/...", "internal/..."},
		tests:     true,
		why:       "users import the API types alone",
	},
}

func TestImportsKeepTheirDirection(t *testing.T) {
	all := allPackages(t)
	for _, r := range rules {
		assert.True(t, slices.ContainsFunc(all, func(p goPackage) bool { return within(p.Path, r.directory) }),
			"the rule for %s holds for no package", r.directory)
		for _, p := range all {
			if !within(p.Path, r.directory) || slices.ContainsFunc(r.except, func(d string) bool { return within(p.Path, d) }) {
				continue
			}
			imports := p.Imports
			if r.tests {
				imports = slices.Concat(imports, p.TestImports)
			}
			for _, imported := range imports {
				forbidden := matches(r.forbidden, imported) && !slices.Contains(r.allowed, imported)
				assert.False(t, forbidden, "%s imports %s: %s", p.Path, imported, r.why)
			}
		}
	}
}

func matches(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		directory, below := strings.CutSuffix(pattern, "/...")
		return path == pattern || below && within(path, directory)
	})
}
