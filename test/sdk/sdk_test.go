// Package sdk runs client libraries as their users install them against real gateways that share a
// real Redis. The tests themselves are in JavaScript, beside this file.
package sdk

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/contract"
)

const apiKey = "sdk-test-key"

// patience is how long a gateway may take to get ready or to end.
const patience = 20 * time.Second

func TestSDKs(t *testing.T) {
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the npm packages are not installed: run `make sdk-deps`")
	}
	binary := filepath.Join(t.TempDir(), "wsfleet-gateway")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../../cmd/gateway").CombinedOutput(); err != nil {
		t.Fatalf("building the gateway: %v\n%s", err, out)
	}
	redis := redistest.Standalone(t, "")
	env := append(os.Environ(),
		"GATEWAY_A="+startGateway(t, binary, "gateway-a", redis.Addr()),
		"GATEWAY_B="+startGateway(t, binary, "gateway-b", redis.Addr()),
		"API_KEY="+apiKey)

	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			cmd := exec.CommandContext(t.Context(), "node", "--test", file)
			cmd.Env = env
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// startGateway runs one gateway and returns its public address once it is ready.
func startGateway(t *testing.T, binary, name, redis string) string {
	t.Helper()
	public, admin := freeAddress(t), freeAddress(t)
	cmd := exec.CommandContext(context.Background(), binary,
		"--"+contract.KeyNodeName, name,
		"--"+contract.KeyListen, public,
		"--"+contract.KeyAdminListen, admin,
		"--"+contract.KeyBroker, contract.BrokerRedis,
		"--"+contract.KeyRedisAddresses, redis,
		"--"+contract.KeyAPIKey, apiKey,
		"--"+contract.KeyPingInterval, "2s",
		"--"+contract.KeyPongTimeout, "1900ms",
		"--"+contract.KeyDrainTimeout, "0s",
	)
	logs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout = cmd.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		copyLog(t.Output(), name, logs)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		// Wait closes the pipe: what has not been read by then would be lost.
		<-copied
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	})
	deadline := time.Now().Add(patience)
	for {
		response, err := http.Get("http://" + admin + contract.PathReadyz)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return public
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not ready: %v", name, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func copyLog(to io.Writer, name string, from io.Reader) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		_, _ = io.WriteString(to, name+": "+lines.Text()+"\n")
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t)))
}
