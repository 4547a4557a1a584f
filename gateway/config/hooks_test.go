package config_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// hookSecret has the minimum length. It must not appear in any output.
const hookSecret = "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyLTI0"

func TestLoadReadsHookSettings(t *testing.T) {
	file := `
hook-connect-url: https://app.example.com/hooks/connect
hook-connect-when-down: Allow
hook-subscribe-url: http://app.example.com:8000/hooks?of=subscribe
hook-publish-url: http://[fd00::1]:8000
hook-publish-when-down: Allow
hook-rpc-url: http://backend/rpc
hook-timeout: 250ms
hook-forward-headers: [Cookie, X-Request-Id]
webhook-url: http://backend/events
webhook-events: [occupied, vacated]
`
	loaded, err := load(t, file, []string{"WSFLEET_HOOK_SECRET=" + hookSecret + " " + hookSecret})
	require.NoError(t, err)
	cfg := loaded.Config
	require.Equal(t, []string{"https://app.example.com/hooks/connect", contract.HookAllow},
		[]string{cfg.HookConnectURL, cfg.HookConnectWhenDown})
	require.Equal(t, []string{"http://app.example.com:8000/hooks?of=subscribe", contract.HookRefuse},
		[]string{cfg.HookSubscribeURL, cfg.HookSubscribeWhenDown})
	require.Equal(t, []string{"http://[fd00::1]:8000", contract.HookAllow},
		[]string{cfg.HookPublishURL, cfg.HookPublishWhenDown})
	require.Equal(t, []string{"http://backend/rpc", "http://backend/events", hookSecret + " " + hookSecret},
		[]string{cfg.HookRPCURL, cfg.WebhookURL, cfg.HookSecret})
	require.Equal(t, 250*time.Millisecond, cfg.HookTimeout)
	require.Equal(t, []string{"Cookie", "X-Request-Id"}, cfg.HookForwardHeaders)
	require.Equal(t, []string{contract.WebhookOccupied, contract.WebhookVacated}, cfg.WebhookEvents)
}

func TestLoadRefusesWrongHookSettings(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"no URL":               {"hook-connect-url: backend/hunter2\n", []string{"hook-connect-url", "http"}},
		"URL without a scheme": {"hook-subscribe-url: //hunter2/a\n", []string{"hook-subscribe-url", "http"}},
		"URL without a host":   {"hook-publish-url: http:///hunter2\n", []string{"hook-publish-url", "no host"}},
		"URL with a fragment":  {"hook-rpc-url: 'http://a/#hunter2'\n", []string{"hook-rpc-url", "#"}},
		"URL with a space":     {"webhook-url: 'http://a/hun ter2'\n", []string{"webhook-url", "space"}},
		"URL with a password": {"webhook-url: http://u:hunter2@a/\n",
			[]string{"webhook-url", "credentials", "hook-secret"}},
		"port 0":         {"hook-rpc-url: http://a:0/\n", []string{"hook-rpc-url", "65535"}},
		"port above all": {"hook-rpc-url: http://a:65536/\n", []string{"hook-rpc-url", "65535"}},
		"connect in doubt": {"hook-connect-when-down: allow\n",
			[]string{"hook-connect-when-down", `"allow"`, "Refuse or Allow"}},
		"subscribe in doubt": {"hook-subscribe-when-down: Maybe\n",
			[]string{"hook-subscribe-when-down", "Refuse or Allow"}},
		"publish in doubt": {"hook-publish-when-down: Maybe\n", []string{"hook-publish-when-down", "Refuse or Allow"}},
		"too quick":        {"hook-timeout: 9ms\n", []string{"hook-timeout", "from 10ms"}},
		"too slow":         {"hook-timeout: 31s\n", []string{"hook-timeout", "to 30s"}},
		"no header":        {"hook-forward-headers: ['Cookie: a']\n", []string{"hook-forward-headers", `"Cookie: a"`}},
		"empty header":     {"hook-forward-headers: ['']\n", []string{"hook-forward-headers", `""`}},
		"header of its own": {"hook-forward-headers: [content-type]\n",
			[]string{"hook-forward-headers", `"content-type"`, "cannot be forwarded"}},
		"header of a frame": {"hook-forward-headers: [sec-websocket-key]\n",
			[]string{"hook-forward-headers", "cannot be forwarded"}},
		"header of a connection": {"hook-forward-headers: [KEEP-ALIVE]\n",
			[]string{"hook-forward-headers", "cannot be forwarded"}},
		"secret of its own": {"hook-secret: hunter2hunter2hunter2hunter2hunter2hunter2\n",
			[]string{"hook-secret", "whsec_", "openssl"}},
		"secret of 23 bytes": {"hook-secret: whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyLTM=\n",
			[]string{"hook-secret", "whsec_"}},
		"secret and another": {"hook-secret: " + hookSecret + " hunter2\n", []string{"hook-secret", "whsec_"}},
		"secret of spaces":   {"hook-secret: '  '\n", []string{"hook-secret", "whsec_"}},
		"33 headers": {"hook-forward-headers: [" + strings.Repeat("A,", 32) + "A]\n",
			[]string{"hook-forward-headers", "33", "32"}},
		"unknown event": {"webhook-url: http://a\nwebhook-events: [joined]\n",
			[]string{"webhook-events", `"joined"`, "connected disconnected occupied vacated"}},
		"events of no webhook":   {"webhook-events: [connected]\n", []string{"webhook-events", "webhook-url"}},
		"presence of an instant": {"presence-ttl: 4s\npresence-grace: 0s\n", []string{"presence-ttl", "from 5s"}},
		"presence of hours":      {"presence-ttl: 61m\n", []string{"presence-ttl", "1h"}},
		"no grace":               {"presence-grace: -1s\n", []string{"presence-grace", "from 0s"}},
		"grace of hours":         {"presence-ttl: 1h\npresence-grace: 301s\n", []string{"presence-grace", "5m"}},
		"grace beyond presence":  {"presence-grace: 60s\n", []string{"presence-grace", "shorter than presence-ttl"}},
		"negative per user":      {"max-connections-per-user: -1\n", []string{"max-connections-per-user", "from 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			requireWrong(t, c.file, nil, c.want...)
		})
	}
}
