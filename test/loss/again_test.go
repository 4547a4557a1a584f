package loss

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// gatewayFlags of the environment is what to build the gateways with.
const gatewayFlags = "LOSS_BUILD"

// again runs this test without the race detector, which finds a race in the SDK: it looks at its
// transport while it changes it. The gateways, which are what is tested, have the detector instead.
func again(t *testing.T) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-timeout=0", "-v", "-run=^"+t.Name()+"$", ".")
	cmd.Env = append(os.Environ(), gatewayFlags+"=-race")
	cmd.Stdout, cmd.Stderr = t.Output(), t.Output()
	require.NoError(t, cmd.Run())
}
