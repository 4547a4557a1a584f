package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// nodePeer starts a script in Node that reads exchanges, one line of JSON each, and answers each with its outcome.
func nodePeer(t *testing.T, name string, can ability, script string, env ...string) peer {
	t.Helper()
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the npm packages are not installed: run `make npm-deps`")
	}
	cmd := exec.CommandContext(context.Background(), "node", script)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		// The script ends with its input, after it has closed its browser.
		_ = in.Close()
		killTimer := time.AfterFunc(timeout, func() { _ = cmd.Process.Kill() })
		defer killTimer.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", script, err)
		}
	})
	lines := bufio.NewReader(out)
	return peer{name: name, can: can, perform: func(ctx context.Context, e exchange) (o outcome, err error) {
		line, err := json.Marshal(e)
		if err != nil {
			return o, err
		}
		if _, err := in.Write(append(line, '\n')); err != nil {
			return o, err
		}
		stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
		defer stop()
		answer, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return o, fmt.Errorf("%s gave no answer and ended", script)
		}
		if err != nil {
			return o, err
		}
		return o, json.Unmarshal(answer, &o)
	}}
}
