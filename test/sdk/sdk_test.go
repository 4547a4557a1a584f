// Package sdk runs client libraries as their users install them against real gateways that share a
// real Redis. The tests themselves are in JavaScript, beside this file.
package sdk

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

const apiKey = "sdk-test-key"

func TestSDKs(t *testing.T) {
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the npm packages are not installed: run `make npm-deps`")
	}
	binary := process.Build(t)
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
	return process.Start(t, binary, name,
		"--"+contract.KeyBroker, contract.BrokerRedis,
		"--"+contract.KeyRedisAddresses, redis,
		"--"+contract.KeyAPIKey, apiKey,
		"--"+contract.KeyPingInterval, "2s",
		"--"+contract.KeyPongTimeout, "1900ms",
	).Addr
}
