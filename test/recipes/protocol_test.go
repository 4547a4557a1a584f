package recipes_test

import (
	"bufio"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"
)

// maxProtocolLines is how much code a protocol that echoes may take.
const maxProtocolLines = 300

func TestProtocolRecipeMakesTheGatewayEcho(t *testing.T) {
	copied := copyTree(t)
	copied.follow(t, readRecipe(t, "protocol"))
	lines := strings.Count(copied.read(t, "gateway/protocol/echo/echo.go"), "\n")
	require.LessOrEqual(t, lines, maxProtocolLines)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	address := startGateway(t, filepath.Join(copied.directory, "bin", "echo-gateway"))
	conn, response, err := websocket.Dial(ctx, "ws://"+address+"/echo/lobby", nil)
	require.NoError(t, err)
	if response.Body != nil {
		defer func() { _ = response.Body.Close() }()
	}
	defer func() { _ = conn.CloseNow() }()
	require.NoError(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
	_, data, err := conn.Read(ctx)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(data), ": hello"), "%s", data)
}

// startGateway runs a gateway until the test ends and returns the address of its public port.
func startGateway(t *testing.T, binary string) (address string) {
	t.Helper()
	cmd := exec.Command(binary, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--log-format=json",
		"--drain-propagation-delay=0s")
	log, err := cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGKILL)
		_ = cmd.Wait()
	})
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var entry struct{ Msg, Listen string }
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.Msg == "gateway serves" {
			return entry.Listen
		}
	}
	require.Fail(t, "the gateway ended before it served")
	return ""
}
