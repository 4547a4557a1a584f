package architecture_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A call of a method by a name that is not a constant, as templates do it, makes the linker keep every exported method
// of every type. The gateway then grows by half, on disk and in memory.
func TestGatewayLeavesTheLinkerItsPruning(t *testing.T) {
	link := exec.Command("go", "build", "-ldflags=-dumpdep", "-o", filepath.Join(t.TempDir(), "gateway"), "./cmd/gateway")
	link.Dir = root
	dependencies, err := link.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, link.Start())
	lines, callers := 0, []string(nil)
	scanner := bufio.NewScanner(dependencies)
	for ; scanner.Scan(); lines++ {
		// The linker marks the functions that make such calls.
		if caller, _, marked := strings.Cut(scanner.Text(), " <ReflectMethod> -> "); marked {
			callers = append(callers, caller)
		}
	}
	require.NoError(t, scanner.Err())
	require.NoError(t, link.Wait())
	require.Greater(t, lines, 1000, "the linker printed no graph")
	require.Empty(t, callers)
}
