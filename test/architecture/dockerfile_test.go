package architecture_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The Dockerfile copies directories one by one, so that a change elsewhere does not build the images anew.
func TestDockerfileCopiesWhatItsCommandsImport(t *testing.T) {
	var copied []string
	for _, match := range regexp.MustCompile(`(?m)^COPY (\w+) (\w+)$`).FindAllStringSubmatch(read(t, "Dockerfile"), -1) {
		require.Equal(t, match[1], match[2])
		copied = append(copied, match[1])
	}
	require.NotEmpty(t, copied)

	commands := regexp.MustCompile(`go build .* (\./cmd/\w+)`).FindAllStringSubmatch(read(t, "Dockerfile"), -1)
	require.NotEmpty(t, commands)
	list := exec.Command("go", "list", "-deps")
	for _, match := range commands {
		list.Args = append(list.Args, match[1])
	}
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)

	var needed []string
	for path := range strings.Lines(string(out)) {
		if path = strings.TrimSpace(path); within(path, module) {
			top, _, _ := strings.Cut(inModule(path), "/")
			needed = append(needed, top)
		}
	}
	slices.Sort(needed)
	slices.Sort(copied)
	require.Equal(t, slices.Compact(needed), copied, "directories of the commands' packages, and those copied")

	ignored := strings.Split(strings.TrimSpace(read(t, ".dockerignore")), "\n")
	for _, directory := range append(copied, "go.mod", "go.sum") {
		require.Contains(t, ignored, "!"+directory, ".dockerignore keeps it out of the build")
	}
}
