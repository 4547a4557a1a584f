// Package hack tests the scripts that guard every change.
package hack

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stand-in for go prints what a fuzz target's run ends with. Go's own race at the end of the time cannot be provoked.
func TestFuzzTellsTheEndOfTheTimeFromAFailure(t *testing.T) {
	const inTime = "--- FAIL: FuzzX (5.11s)\n    context deadline exceeded\nFAIL\nexit status 1\n"
	for name, c := range map[string]struct {
		output string
		passes bool
	}{
		"the time is over": {inTime, true},
		"a failing input": {"--- FAIL: FuzzX (0.11s)\n    --- FAIL: FuzzX (0.00s)\n        x_test.go:3: bad\n    \n" +
			"    Failing input written to testdata/fuzz/FuzzX/1\nFAIL\n", false},
		"a failing input at the end": {inTime + "    --- FAIL: FuzzX (0.00s)\n        x_test.go:3: bad\n", false},
		"a deadline of the target's own": {"--- FAIL: FuzzX (0.11s)\n    --- FAIL: FuzzX (0.00s)\n" +
			"        x_test.go:3: context deadline exceeded\n", false},
		"a hang":            {"--- FAIL: FuzzX (1.00s)\n    fuzzing process hung or terminated unexpectedly\n", false},
		"a panic":           {"panic: x\nFAIL\n", false},
		"it does not build": {"# package\nx.go:1: bad\nFAIL\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			script := "#!/bin/sh\ncat " + filepath.Join(directory, "output") + "\nexit 1\n"
			require.NoError(t, os.WriteFile(filepath.Join(directory, "output"), []byte(c.output), 0o600))
			require.NoError(t, os.WriteFile(filepath.Join(directory, "go"), []byte(script), 0o700))
			cmd := exec.CommandContext(t.Context(), "bash", "fuzz.sh", "1s", "internal/channel")
			cmd.Env = append(os.Environ(), "PATH="+directory+":"+os.Getenv("PATH"))
			said, err := cmd.CombinedOutput()
			assert.Equal(t, c.passes, err == nil, "%s", said)
		})
	}
}
