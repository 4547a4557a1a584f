package architecture_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README names the versions that are tested, and the operator's log the oldest of them.
func TestSupportedVersionsAreThoseThatAreTested(t *testing.T) {
	const kubernetes = `k8s\.io/kubernetes v(1\.\d+)\.`
	newest, oldest := pinned(t, "kubernetes", kubernetes)[0], pinned(t, "kubernetes-oldest", kubernetes)[0]
	readme := read(t, "README.md")
	require.Contains(t, readme, "| "+newest+" | integration tests on its API server; fleet tests")
	require.Contains(t, readme, "| "+oldest+" | integration tests on its API server |")
	require.Contains(t, read(t, "cmd/operator/apiserver.go"), `oldestKubernetes = "`+oldest+`"`)
}

// The operator's page names the versions of the autoscalers that test/adapters runs. Prometheus 3.1.0 is v0.301.0 as a
// module.
func TestVersionsOfAutoscalersAreThoseThatRun(t *testing.T) {
	keda := pinned(t, "keda", `kedacore/keda/v2 v(\S+)`)[0]
	adapter := pinned(t, "prometheus-adapter", `k8s\.io/prometheus-adapter v(\S+)`)[0]
	prometheus := strings.Join(pinned(t, "prometheus", `prometheus/prometheus v0\.(\d)0?(\d+)\.(\d+)`), ".")
	page := read(t, "docs/operator.md")
	require.Contains(t, page, "KEDA "+keda+", and prometheus-adapter "+adapter+" with either")
	require.Contains(t, page, "with Prometheus "+prometheus+" on")
}

// pinned returns the groups of a pattern in the go.mod of a module of the local cluster's programs.
func pinned(t *testing.T, module, pattern string) []string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(read(t, "hack/localcluster/binaries/"+module+"/go.mod"))
	require.NotEmpty(t, found, module)
	return found[1:]
}
