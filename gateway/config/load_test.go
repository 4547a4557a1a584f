package config_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// load calls Load with a configuration file of this content, an environment and arguments. It writes no file when file
// is empty.
func load(t *testing.T, file string, environ []string, args ...string) (*config.Loaded, error) {
	t.Helper()
	if file != "" {
		path := filepath.Join(t.TempDir(), "gateway.yaml")
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		args = append(args, "--config="+path)
	}
	flags := config.Flags()
	require.NoError(t, flags.Parse(args))
	return config.Load(flags, environ)
}

func TestLoadNeedsNoSettings(t *testing.T) {
	loaded, err := load(t, "", nil)
	require.NoError(t, err)
	want := config.Default()
	want.NodeName, err = os.Hostname()
	require.NoError(t, err)
	// Flags without items are empty lists, not nil.
	got := loaded.Config
	require.Empty(t, got.AllowedOrigins)
	got.AllowedOrigins, got.TrustedProxies, got.RedisAddresses = nil, nil, nil
	require.Empty(t, got.HookForwardHeaders)
	require.Empty(t, got.WebhookEvents)
	got.HookForwardHeaders, got.WebhookEvents = nil, nil
	require.Equal(t, want, got)
}

func TestLoadPrefersFlagToEnvironmentToFile(t *testing.T) {
	file := "max-connections: 1\nmax-queued-bytes: 1\nping-interval: 21s\n" +
		"allowed-origins: [https://file.example.com]\nredis-addresses: a:1, b:2\n"
	loaded, err := load(t, file,
		[]string{"WSFLEET_MAX_CONNECTIONS=2", "WSFLEET_MAX_QUEUED_BYTES=2", "WSFLEET_TRUSTED_PROXIES=10.0.0.0/8,192.168.0.1",
			"WSFLEET_NODE_NAME="},
		"--max-connections=3")
	require.NoError(t, err)
	require.Equal(t, 3, loaded.Config.MaxConnections)
	require.Equal(t, 2, loaded.Config.MaxQueuedBytes)
	require.Equal(t, 21*time.Second, loaded.Config.PingInterval)
	require.Equal(t, []string{"https://file.example.com"}, loaded.Config.AllowedOrigins)
	require.Equal(t, []string{"10.0.0.0/8", "192.168.0.1"}, loaded.Config.TrustedProxies)
	require.Equal(t, []string{"a:1", "b:2"}, loaded.Config.RedisAddresses)
	require.NotEmpty(t, loaded.Config.NodeName, "an empty variable is no value")
}

// channels is the only key that is a list of maps.
func TestLoadReadsRulesFromEverySource(t *testing.T) {
	want := channel.Rules{{Pattern: "prices:*", SlowConsumer: channel.LatestOnly}, {Pattern: "*"}}
	list := `[{"pattern":"prices:*","slowConsumer":"LatestOnly"},{"pattern":"*"}]`
	for name, c := range map[string]struct {
		file    string
		environ []string
		args    []string
	}{
		"file":        {file: "channels:\n- pattern: prices:*\n  slowConsumer: LatestOnly\n- {pattern: '*'}\n"},
		"text":        {file: "channels: '" + list + "'\n"},
		"environment": {file: "channels: [{pattern: other}]\n", environ: []string{"WSFLEET_CHANNELS=" + list}},
		"flag":        {environ: []string{`WSFLEET_CHANNELS=[{"pattern":"other"}]`}, args: []string{"--channels=" + list}},
	} {
		t.Run(name, func(t *testing.T) {
			loaded, err := load(t, c.file, c.environ, c.args...)
			require.NoError(t, err)
			require.Equal(t, want, loaded.Config.Channels)
			effective := []map[string]any{{"pattern": "prices:*", "slowConsumer": "LatestOnly"}, {"pattern": "*"}}
			require.Equal(t, effective, loaded.Effective[contract.KeyChannels])
		})
	}
	loaded, err := load(t, "channels: [{pattern: other}]\n", nil, "--channels=[]")
	require.NoError(t, err)
	require.Empty(t, loaded.Config.Channels)
}

func TestLoadTakesTheFileFromTheEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gateway.yaml")
	require.NoError(t, os.WriteFile(path, []byte("max-connections: 7\n"), 0o600))
	loaded, err := load(t, "", []string{"WSFLEET_CONFIG=" + path})
	require.NoError(t, err)
	require.Equal(t, 7, loaded.Config.MaxConnections)
	require.Equal(t, path, loaded.File)
}

// Every message names the key, its source and the remedy.
func TestLoadRefusesWrongSettings(t *testing.T) {
	long := strings.Repeat("n", 254)
	cases := map[string]struct {
		file    string
		environ []string
		args    []string
		want    []string
	}{
		"unknown key in the file": {
			file: "max-conections: 1\n",
			want: []string{"max-conections", "gateway.yaml", "unknown key", "--help"},
		},
		"nested key in the file": {file: "redis:\n  mode: cluster\n", want: []string{"redis.mode", "unknown key"}},
		"file that is no YAML":   {file: "a: [b\n", want: []string{"config", "gateway.yaml", "not valid YAML"}},
		"file that is a list":    {file: "- a\n", want: []string{"config", "gateway.yaml"}},
		"missing file": {
			args: []string{"--config=/does/not/exist"},
			want: []string{"config", "/does/not/exist", "name a readable file"},
		},
		"directory as a file": {
			args: []string{"--config=" + t.TempDir()},
			want: []string{"config", "is a directory", "name a readable file"},
		},
		"key given twice": {
			file: "max-connections: 1\nmax-connections: 2\n",
			want: []string{"config", "max-connections", "already defined"},
		},
		"number for a text":   {file: "node-name: 007\n", want: []string{"node-name", "quotes"}},
		"number for a secret": {file: "redis-password: 0123\n", want: []string{"redis-password", "quotes"}},
		"password in an address": {
			args: []string{"--broker=redis", "--redis-addresses=redis://:hunter2@a:1"},
			want: []string{"redis-addresses", "redis-password"},
		},
		"user in an address": {
			args: []string{"--broker=redis", "--redis-addresses=hunter2@a:1"},
			want: []string{"redis-addresses", "redis-username"},
		},
		"text for a number": {
			file: "max-connections: many\n",
			want: []string{"max-connections", "file", `"many"`, "whole number"},
		},
		"fraction for a number": {file: "max-connections: 1.5\n", want: []string{"max-connections", "whole number"}},
		"list for a number":     {file: "max-connections: [1]\n", want: []string{"max-connections", "is a list"}},
		"nothing for a number":  {file: "max-connections:\n", want: []string{"max-connections", "has no value"}},
		"duration without unit": {
			environ: []string{"WSFLEET_PING_INTERVAL=25"},
			want:    []string{"ping-interval", "environment WSFLEET_PING_INTERVAL", "like 30s"},
		},
		"secrets stay secret": {file: "api-key: [hunter2]\n", want: []string{"api-key"}},
		"zero connections": {
			args: []string{"--max-connections=0"},
			want: []string{"max-connections", "flag --max-connections", "0 is out of range"},
		},
		"negative connect rate": {args: []string{"--connect-rate=-1"}, want: []string{"connect-rate", "from 0"}},
		"negative message rate": {args: []string{"--message-rate=-1"}, want: []string{"message-rate", "from 0"}},
		"queues above their sum": {
			args: []string{"--max-queued-bytes=2048", "--max-total-queued-bytes=2047"},
			want: []string{"max-total-queued-bytes", "from 2048", "max-queued-bytes"},
		},
		"sum of queues above bound": {
			args: []string{"--max-total-queued-bytes=1099511627777"},
			want: []string{"max-total-queued-bytes", "1099511627776"},
		},
		"fraction of a sum": {
			file: "max-total-queued-bytes: 1e30\n",
			want: []string{"max-total-queued-bytes", "whole number"},
		},
		"handshake of an instant": {
			args: []string{"--handshake-timeout=999ms"},
			want: []string{"handshake-timeout", "from 1s"},
		},
		"connect after an hour": {args: []string{"--connect-timeout=1h"}, want: []string{"connect-timeout", "10m"}},
		"compression of sorts":  {file: "compression: gzip\n", want: []string{"compression", `"gzip"`, "true or false"}},
		"certificate without key": {
			args: []string{"--tls-cert-file=a"},
			want: []string{"tls-key-file", "tls-cert-file", "leave both out"},
		},
		"key without certificate": {
			args: []string{"--tls-key-file=a"},
			want: []string{"tls-cert-file", "tls-key-file", "leave both out"},
		},
		"rules that are no list": {
			file: "channels: lobby\n",
			want: []string{"channels", "file", "list of rules", `"pattern"`},
		},
		"rules that are a map":    {file: "channels: {}\n", want: []string{"channels", "is no list"}},
		"rules that are a number": {file: "channels: 7\n", want: []string{"channels", "is no list"}},
		"rules that are nothing":  {file: "channels:\n", want: []string{"channels", "has no value"}},
		"rules in pieces":         {file: "channels: [a]\n", want: []string{"channels", "list of rules"}},
		"rule with a number":      {file: "channels: [{pattern: 7}]\n", want: []string{"channels", "pattern", "quotes"}},
		"rule with numbered keys": {file: "channels: [{1: a}]\n", want: []string{"channels"}},
		"rule with another key":   {file: "channels: [{pattern: a, histroy: {}}]\n", want: []string{"channels", "histroy"}},
		"rule with half a history": {
			file: "channels: [{pattern: a, history: {size: 5}}]\n",
			want: []string{"channels", "rule 1", "history.ttl", `"ttl":"10m"`},
		},
		"rule with a bare history": {file: "channels: [{pattern: a, history: 1}]\n", want: []string{"channels", "history"}},
		"rule with a bare ttl": {
			file: "channels: [{pattern: a, history: {size: 5, ttl: 60}}]\n",
			want: []string{"channels", "a text like 30s or 5m"},
		},
		"rule with a lie": {
			file: "channels: [{pattern: a, recovery: true}]\n",
			want: []string{"channels", "rule 1", "recovery needs history"},
		},
		"rule without a pattern": {
			file: "channels: [{slowConsumer: Disconnect}]\n",
			want: []string{"channels", "file", "rule 1 has no pattern"},
		},
		"rule with another policy": {
			environ: []string{`WSFLEET_CHANNELS=[{"pattern":"a","slowConsumer":"Wait"}]`},
			want:    []string{"channels", "environment WSFLEET_CHANNELS", `"Wait"`, "DropOldest"},
		},
		"two rules of one pattern": {
			args: []string{`--channels=[{"pattern":"a"},{"pattern":"a"}]`},
			want: []string{"channels", "flag --channels", "each pattern once"},
		},
		"more than a list of rules": {
			environ: []string{`WSFLEET_CHANNELS=[] []`},
			want:    []string{"channels", "after the list"},
		},
		"negative per IP": {
			args: []string{"--max-connections-per-ip=-1"},
			want: []string{"max-connections-per-ip"},
		},
		"message above bound": {args: []string{"--max-message-bytes=99999999999"}, want: []string{"max-message-bytes"}},
		"no queue":            {args: []string{"--max-queued-bytes=0"}, want: []string{"max-queued-bytes"}},
		"no channels": {
			args: []string{"--max-channels-per-connection=0"},
			want: []string{"max-channels-per-connection"},
		},
		"pings too often": {args: []string{"--ping-interval=1ms"}, want: []string{"ping-interval"}},
		"pong longer than ping": {
			args: []string{"--pong-timeout=25s"},
			want: []string{"pong-timeout", "shorter than ping-interval"},
		},
		"delay longer than drain": {
			args: []string{"--drain-timeout=10s"},
			want: []string{"drain-propagation-delay", "shorter than drain-timeout"},
		},
		"drain of days": {args: []string{"--drain-timeout=25h"}, want: []string{"drain-timeout", "24h"}},
		"negative close rate": {
			args: []string{"--drain-max-closes-per-second=-1"},
			want: []string{"drain-max-closes-per-second"},
		},
		"address without port": {args: []string{"--listen=localhost"}, want: []string{"listen", "host:port"}},
		"port out of range":    {args: []string{"--listen=:70000"}, want: []string{"listen", "65535"}},
		"same address twice":   {args: []string{"--admin-listen=:8080"}, want: []string{"admin-listen", "another port"}},
		"unknown level": {
			args: []string{"--log-level=loud"},
			want: []string{"log-level", "debug, info, warn, error"},
		},
		"unknown format": {args: []string{"--log-format=xml"}, want: []string{"log-format", "text, json"}},
		"unknown broker": {args: []string{"--broker=kafka"}, want: []string{"broker", "memory, redis"}},
		"unknown mode": {
			args: []string{"--redis-mode=ring"},
			want: []string{"redis-mode", "standalone, sentinel, cluster"},
		},
		"redis without addresses": {args: []string{"--broker=redis"}, want: []string{"redis-addresses", "at least one"}},
		"address of no redis": {
			args: []string{"--broker=redis", "--redis-addresses=redis"},
			want: []string{"redis-addresses", "host:port"},
		},
		"two standalone redises": {
			args: []string{"--broker=redis", "--redis-addresses=a:1,b:1"},
			want: []string{"redis-addresses", "redis-mode"},
		},
		"sentinel without a master": {
			args: []string{"--broker=redis", "--redis-mode=sentinel", "--redis-addresses=a:1"},
			want: []string{"redis-master-name", "sentinel monitor"},
		},
		"prefix with a space": {
			args: []string{"--broker=redis", "--redis-addresses=a:1", "--redis-prefix=a b"},
			want: []string{"redis-prefix"},
		},
		"origin with a path": {
			args: []string{"--allowed-origins=https://a.example.com/x"},
			want: []string{"allowed-origins", "scheme://host"},
		},
		"proxy that is no network": {
			args: []string{"--trusted-proxies=10.0.0.0/99"},
			want: []string{"trusted-proxies", "10.0.0.0/8"},
		},
		"PROXY protocol of another kind": {
			args: []string{"--proxy-protocol=v2", "--trusted-proxies=10.0.0.0/8"},
			want: []string{"proxy-protocol", "Disabled, Optional, Required", `"v2"`},
		},
		"PROXY protocol without proxies": {
			args: []string{"--proxy-protocol=Optional"},
			want: []string{"proxy-protocol", "trusted-proxies", "no proxy is trusted"},
		},
		"PROXY protocol required without proxies": {
			file: "proxy-protocol: Required\n",
			want: []string{"proxy-protocol", "trusted-proxies", "no proxy is trusted"},
		},
		"cookie with a space": {args: []string{"--affinity-cookie=a b"}, want: []string{"affinity-cookie"}},
		"cookie value without a cookie": {
			args: []string{"--affinity-cookie-value={name}"},
			want: []string{"affinity-cookie-value", "affinity-cookie is not"},
		},
		"cookie value of all gateways": {
			args: []string{"--affinity-cookie=a", "--affinity-cookie-value=name"},
			want: []string{"affinity-cookie-value", "{name}", "the same for all gateways"},
		},
		"cookie value with a semicolon": {
			args: []string{"--affinity-cookie=a", "--affinity-cookie-value={name};x"},
			want: []string{"affinity-cookie-value", "no cookie value"},
		},
		"cookie value with a quote in the name": {
			args: []string{"--affinity-cookie=a", "--affinity-cookie-value={name}", `--node-name=a"b`},
			want: []string{"affinity-cookie-value", "node-name"},
		},
		"cookie path without slash": {
			args: []string{"--affinity-cookie-path=x"},
			want: []string{"affinity-cookie-path", "/"},
		},
		"name too long": {args: []string{"--node-name=" + long}, want: []string{"node-name", "253"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, c.file, c.environ, c.args...)
			var wrong *config.Error
			require.ErrorAs(t, err, &wrong)
			for _, part := range c.want {
				require.Contains(t, err.Error(), part)
			}
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

func TestLoadReportsAllProblems(t *testing.T) {
	_, err := load(t, "", nil, "--max-connections=0", "--log-level=loud")
	require.ErrorContains(t, err, "max-connections")
	require.ErrorContains(t, err, "log-level")
}

func TestLoadAcceptsADrainTimeoutOfZero(t *testing.T) {
	_, err := load(t, "", nil, "--drain-timeout=0s")
	require.NoError(t, err)
}

func TestLoadWarnsOfUnknownVariables(t *testing.T) {
	loaded, err := load(t, "", []string{
		"WSFLEET_TYPO=1", "PATH=/bin",
		// A Service named wsfleet, or wsfleet-redis, puts these into every pod.
		"WSFLEET_SERVICE_HOST=10.0.0.1", "WSFLEET_SERVICE_PORT=80", "WSFLEET_SERVICE_PORT_WS=80",
		"WSFLEET_PORT=tcp://10.0.0.1:80",
		"WSFLEET_PORT_80_TCP=tcp://10.0.0.1:80", "WSFLEET_PORT_80_TCP_ADDR=10.0.0.1", "WSFLEET_REDIS_SERVICE_HOST=10.0.0.2",
	})
	require.NoError(t, err)
	require.Equal(t, []string{"environment variable WSFLEET_TYPO is no configuration key and is ignored"}, loaded.Warnings)
}

func TestLoadReturnsEveryKeyInEffect(t *testing.T) {
	loaded, err := load(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, "25s", loaded.Effective[contract.KeyPingInterval])
	config.Flags().VisitAll(func(f *pflag.Flag) { require.Contains(t, loaded.Effective, f.Name) })
}

func TestFlagsExplainEveryKeyWithItsUnit(t *testing.T) {
	config.Flags().VisitAll(func(f *pflag.Flag) {
		require.NotEmpty(t, f.Usage, f.Name)
		unit, _ := pflag.UnquoteUsage(f)
		require.NotContains(t, []string{"string", "int", "duration", "strings"}, unit, "%s must name its unit", f.Name)
	})
}

func FuzzLoadFile(f *testing.F) {
	f.Add("max-connections: 1\n")
	f.Add("redis-addresses: [a, {b: c}]\nping-interval: 1h\n")
	f.Add("channels: [{pattern: a, slowConsumer: DropOldest}]\n")
	f.Add("channels: [{pattern: a, history: {size: 1, ttl: 1s}, recovery: true}]\n")
	f.Add("jwt-key: '-----BEGIN PUBLIC KEY-----'\nhook-connect-url: http://u:p@a:99999/#\nhook-forward-headers: [a, 1]\n")
	f.Add("? [a]\n: b\n")
	f.Add("a: &x [*x]\n")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(dir, "gateway.yaml")
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		flags := config.Flags()
		require.NoError(t, flags.Parse([]string{"--config=" + path}))
		loaded, err := config.Load(flags, nil)
		if err == nil {
			require.Positive(t, loaded.Config.MaxConnections)
		}
	})
}

// A key that is in package contract but not in the schema would be refused by the gateway.
func TestFlagsDeclareEveryKeyOfTheContract(t *testing.T) {
	const path = "../../internal/contract/contract.go"
	source, err := os.ReadFile(path)
	require.NoError(t, err)
	keys := regexp.MustCompile(`(?m)^\tKey\w+ += "([a-z-]+)"$`).FindAllSubmatch(source, -1)
	declared := map[string]bool{}
	config.Flags().VisitAll(func(f *pflag.Flag) { declared[f.Name] = true })
	require.Len(t, keys, len(declared))
	for _, key := range keys {
		require.True(t, declared[string(key[1])], "%s has no setting in gateway/config/settings.go", key[1])
	}
}

func TestLoadChecksTheCloseCodeOfADrain(t *testing.T) {
	for _, allowed := range []string{"1001", "1012", "1013", "3000", "3499", "4000", "4100", "4200", "4299"} {
		loaded, err := load(t, "", nil, "--drain-close-code="+allowed)
		require.NoError(t, err, allowed)
		require.Equal(t, allowed, strconv.Itoa(loaded.Config.DrainCloseCode))
	}
	const never, final = "no code that asks", "stay away"
	for code, problem := range map[string]string{
		"0": never, "-1": never, "999": never, "1000": never, "1002": never, "1005": never, "1006": never, "1011": never,
		"1014": never, "1015": never, "2999": never, "5000": never, "65536": never,
		"3500": final, "3999": final, "4001": final, "4099": final, "4300": final, "4400": final, "4499": final,
		"4500": final, "4999": final,
	} {
		_, err := load(t, "", nil, "--drain-close-code="+code)
		require.ErrorContains(t, err, "drain-close-code", code)
		require.ErrorContains(t, err, problem, code)
		require.ErrorContains(t, err, "4100 to 4299", code)
	}
	loaded, err := load(t, "", nil)
	require.NoError(t, err)
	require.Equal(t, 1012, loaded.Config.DrainCloseCode)
}
