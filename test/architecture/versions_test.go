package architecture_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The README names the versions that are tested, and the operator's log the oldest of them.
func TestSupportedVersionsAreThoseThatAreTested(t *testing.T) {
	pinned := func(module string) string {
		found := regexp.MustCompile(`k8s\.io/kubernetes v(1\.\d+)\.`).
			FindStringSubmatch(read(t, "hack/localcluster/binaries/"+module+"/go.mod"))
		require.Len(t, found, 2, module)
		return found[1]
	}
	readme := read(t, "README.md")
	require.Contains(t, readme, "| "+pinned("kubernetes")+" | integration tests on its API server; fleet tests")
	require.Contains(t, readme, "| "+pinned("kubernetes-oldest")+" | integration tests on its API server |")
	require.Contains(t, read(t, "cmd/operator/apiserver.go"), `oldestKubernetes = "`+pinned("kubernetes-oldest")+`"`)
}
