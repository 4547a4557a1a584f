package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// execute runs the root command and returns its output.
func execute(args ...string) (string, error) {
	root := newRoot()
	var out bytes.Buffer
	root.SetOut(&out)
	root.SetArgs(args)
	err := root.Execute()
	return out.String(), err
}

// The error of a wrong command line names the flag and its bounds, and the process exits with exitUsage.
func TestRootRefusesAWrongCommandLine(t *testing.T) {
	for _, c := range []struct {
		args    []string
		message string
	}{
		{[]string{"--bogus"}, "--bogus"},
		{[]string{"extra"}, "extra"},
		{[]string{"--gateway-image="}, "--gateway-image is empty"},
		{[]string{"--redis-image="}, "--redis-image is empty"},
		{[]string{"--max-concurrent-reconciles=0"}, "at least 1"},
		{[]string{"--max-concurrent-upgrades=0"}, "--max-concurrent-upgrades is 0: it must be at least 1"},
		{[]string{"--scrape-interval=1ms"}, "--scrape-interval is 1ms: it must be at least 1s"},
		{[]string{"--scrape-interval=soon"}, "--scrape-interval"},
		{[]string{"--operator-namespace=a/b"}, `--operator-namespace is "a/b"`},
		{[]string{"--watch-namespaces=a,"}, "--watch-namespaces has an empty name"},
		{[]string{"--watch-namespaces=a,A_b"}, `--watch-namespaces has "A_b": it must be the name of a namespace`},
		{[]string{"--watch-namespaces="}, "--watch-namespaces is empty: name a namespace, or leave the flag out"},
		{[]string{"--namespaced"}, "--namespaced has no namespace"},
		{[]string{"--graceful-shutdown-timeout=-1s"}, "--graceful-shutdown-timeout is -1s"},
		{[]string{"--metrics-bind-address=8443"}, `--metrics-bind-address is "8443"`},
		{[]string{"--health-probe-bind-address=localhost"}, `--health-probe-bind-address is "localhost"`},
		{[]string{"--pprof-bind-address=6060"}, `--pprof-bind-address is "6060"`},
		{[]string{"--kube-api-qps=-1"}, "--kube-api-qps is -1: it must not be negative"},
		{[]string{"--kube-api-burst=0"}, "--kube-api-burst is 0: it must be at least 1"},
		{[]string{"--log-level=loud"}, "debug, info, warn or error"},
		{[]string{"--log-format=xml"}, "json or text"},
		{[]string{"metrics-api", "extra"}, "wsfleet-operator metrics-api --help"},
		{[]string{"metrics-api", "--bogus"}, "--bogus"},
		{[]string{"metrics-api", "--bind-address=6443"}, `--bind-address is "6443": it must be host:port`},
		{[]string{"metrics-api", "--watch-namespaces=a,"}, "--watch-namespaces has an empty name"},
		{[]string{"metrics-api", "--watch-namespaces="}, "--watch-namespaces is empty"},
		{[]string{"metrics-api", "--log-level=loud"}, "debug, info, warn or error"},
		{[]string{"metrics-api", "--log-format=xml"}, "json or text"},
		{[]string{"metrics-api"}, "--namespace is empty"},
	} {
		t.Run(strings.Join(c.args, " "), func(t *testing.T) {
			_, err := execute(c.args...)
			require.ErrorContains(t, err, c.message)
			assert.Equal(t, exitUsage, exitCode(err))
		})
	}
}

func TestVersionPrintsTheVersion(t *testing.T) {
	out, err := execute("version")
	require.NoError(t, err)
	assert.Equal(t, ownVersion()+"\n", out)
}

func TestFlagsDefaultToTheGatewayOfTheVersion(t *testing.T) {
	assert.Equal(t, "wsfleet/gateway:"+ownVersion(), newRoot().Flags().Lookup("gateway-image").DefValue)
}

func TestManagerOptionsServePprofOnlyWhenAsked(t *testing.T) {
	for address, args := range map[string][]string{
		addressOff:       nil,
		"127.0.0.1:6060": {"--pprof-bind-address=127.0.0.1:6060"},
	} {
		var chosen settings
		flags := pflag.NewFlagSet("operator", pflag.ContinueOnError)
		chosen.register(flags)
		require.NoError(t, flags.Parse(args))
		require.NoError(t, chosen.validate())
		assert.Equal(t, address, managerOptions(&chosen).PprofBindAddress)
	}
}

// To client-go, 0 would be a limit of 5 requests a second.
func TestClientLimitIsOffByDefault(t *testing.T) {
	limit := func(args ...string) float32 {
		var chosen settings
		flags := pflag.NewFlagSet("operator", pflag.ContinueOnError)
		chosen.register(flags)
		require.NoError(t, flags.Parse(args))
		qps, _ := chosen.clientLimit()
		return qps
	}
	assert.InDelta(t, -1, limit(), 0)
	assert.InDelta(t, 30, limit("--kube-api-qps=30"), 0)
}

func TestOwnNamespaceIsThatOfThePod(t *testing.T) {
	file := filepath.Join(t.TempDir(), "namespace")
	assert.Empty(t, ownNamespace(file))
	require.NoError(t, os.WriteFile(file, []byte("wsfleet-system\n"), 0o600))
	assert.Equal(t, "wsfleet-system", ownNamespace(file))
}
