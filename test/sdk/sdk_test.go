// Package sdk tests client libraries as their users install them, in Node and in Chromium, against real gateways that
// share a real Redis. The tests themselves are the JavaScript files beside this file.
package sdk

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

const (
	apiKey = "sdk-test-key"
	jwtKey = "sdk-test-secret-of-at-least-32-bytes"
)

// rules are the rules of the channels that the tests use. The prefix of a channel's name tells what it is for.
const rules = `[
	{"pattern": "history:*", "history": {"size": 100, "ttl": "1m"}},
	{"pattern": "recover:*", "history": {"size": 100, "ttl": "1m"}, "recovery": true},
	{"pattern": "short:*", "history": {"size": 3, "ttl": "1m"}, "recovery": true},
	{"pattern": "present:*", "history": {"size": 100, "ttl": "1m"}, "recovery": true, "presence": true, "joinLeave": true},
	{"pattern": "cached:*", "history": {"size": 1, "ttl": "1m"}, "recovery": true, "recoveryMode": "Cache"},
	{"pattern": "nobody:*", "publish": "Nobody"},
	{"pattern": "anybody:*", "publish": "Anybody"},
	{"pattern": "token:*", "subscribe": "Token"},
	{"pattern": "authenticated:*", "subscribe": "Authenticated"}
]`

func TestSDKs(t *testing.T) {
	if _, err := os.Stat("node_modules"); err != nil {
		t.Fatal("the npm packages are not installed: run `make npm-deps`")
	}
	own, foreign := serveSite(t), serveSite(t)
	// The tests give the flag too, and a list flag that is given twice holds both values.
	t.Setenv(contract.EnvPrefix+"ALLOWED_ORIGINS", own)
	s := &suite{binary: process.Build(t), redis: redistest.Standalone(t, "")}
	env := append(os.Environ(),
		"GATEWAY_A="+s.start(t, "gateway-a").Addr,
		"GATEWAY_B="+s.start(t, "gateway-b").Addr,
		"API_KEY="+apiKey,
		"JWT_KEY="+jwtKey,
		"BROWSER="+startBrowser(t),
		"SITE="+own,
		"FOREIGN_SITE="+foreign)

	files, err := filepath.Glob("*.test.mjs")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) { s.run(t, file, env) })
	}
}

// suite is the state that all test files share.
type suite struct {
	binary string
	redis  *redistest.Server
}

// start runs one gateway of the fleet. Given flags override the usual ones.
func (s *suite) start(t *testing.T, name string, flags ...string) *process.Gateway {
	t.Helper()
	return process.Start(t, s.binary, name, append([]string{
		"--" + contract.KeyBroker, contract.BrokerRedis,
		"--" + contract.KeyRedisAddresses, s.redis.Addr(),
		"--" + contract.KeyAPIKey, apiKey,
		"--" + contract.KeyJWTKey, jwtKey,
		"--" + contract.KeyChannels, rules,
		"--" + contract.KeyPingInterval, "2s",
		"--" + contract.KeyPongTimeout, "1900ms",
		"--" + contract.KeyPresenceTTL, "5s",
		"--" + contract.KeyPresenceGrace, "2s",
		"--" + contract.KeyMaxConnectionsPerUser, "3",
		"--" + contract.KeyMaxChannelsPerConnection, "8",
	}, flags...)...)
}

// run runs one file with Node's test runner.
func (s *suite) run(t *testing.T, file string, env []string) {
	t.Helper()
	c := newControl(t, s)
	cmd := exec.CommandContext(t.Context(), "node", "--test", file)
	cmd.Env = slices.Concat(env, []string{"CONTROL=" + c.url})
	var out []byte
	var err error
	c.serve(t, func() { out, err = cmd.CombinedOutput() })
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
}
