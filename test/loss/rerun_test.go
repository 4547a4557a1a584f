package loss

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// gatewayFlags names the environment variable with the flags to build the gateways with.
const gatewayFlags = "LOSS_BUILD"

// runWithoutRaceDetector runs this test again without the race detector, which would report a race inside the SDK. The
// gateways, which are under test, are built with the detector instead.
func runWithoutRaceDetector(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=0", "-v", "-run=^"+t.Name()+"$", ".")
	cmd.Env = append(os.Environ(), gatewayFlags+"=-race")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Run())
}
