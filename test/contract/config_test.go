package contract

import (
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// A gateway refuses a configuration with an unknown key or a bad value, and no new pod would start.
func TestGatewayLoadsRenderedConfiguration(t *testing.T) {
	for _, c := range readGoldens(t) {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), path.Base(contract.ConfigFile))
			content := c.deployment.Spec.Template.Annotations[render.AnnotationConfig]
			require.NoError(t, os.WriteFile(file, []byte(content), 0o600))

			flags := config.Flags()
			require.NoError(t, flags.Parse([]string{"--" + contract.KeyConfig, file}))
			loaded, err := config.Load(flags, environment(t, c))
			require.NoError(t, err)
			require.Empty(t, loaded.Warnings, "the gateway does not know a variable")
			assertSettings(t, c.spec.Gateway, loaded.Config)
		})
	}
}

// environment returns the environment that the Deployment gives its gateways, as KEY=value. The Secrets' values are
// made up and have the minimum length that the operator accepts.
func environment(t *testing.T, c golden) []string {
	t.Helper()
	values := map[string]string{}
	for _, value := range render.SecretValues(c.spec) {
		content := strings.Repeat("k", value.MinBytes)
		if value.Setting == contract.KeyHookSecret {
			content = "whsec_" + content[len("whsec_"):]
		}
		values[value.Secret+"/"+value.Key] = content
	}
	container := c.deployment.Spec.Template.Spec.Containers[0]
	environ := make([]string, 0, len(container.Env))
	secrets := 0
	for _, variable := range container.Env {
		if source := variable.ValueFrom; source != nil && source.SecretKeyRef != nil {
			if _, found := values[secretKey(source.SecretKeyRef)]; found {
				secrets++
			}
		}
		environ = append(environ, variable.Name+"="+valueOf(variable, values))
	}
	require.Equal(t, len(values), secrets, "the Deployment lacks a variable for a Secret that the spec names")
	return environ
}

// valueOf returns the variable's value as the kubelet would set it.
func valueOf(variable corev1.EnvVar, secrets map[string]string) string {
	switch source := variable.ValueFrom; {
	case source == nil:
		return variable.Value
	case source.SecretKeyRef != nil:
		if value, found := secrets[secretKey(source.SecretKeyRef)]; found {
			return value
		}
		return "value-of-" + source.SecretKeyRef.Key
	default:
		return "demo-gateway-0"
	}
}

func secretKey(ref *corev1.SecretKeySelector) string { return ref.Name + "/" + ref.Key }

// assertSettings checks what the operator leaves out of the file too: it must be the gateway's own default and equal
// to the spec's.
func assertSettings(t *testing.T, spec v1alpha1.GatewaySpec, loaded config.Config) {
	t.Helper()
	assert.Equal(t, *spec.MaxTotalQueuedBytes, loaded.MaxTotalQueuedBytes)
	assert.Len(t, loaded.Channels, len(spec.Channels))
	assert.Equal(t, spec.TLS != nil, loaded.TLSKeyFile != "")
	assert.Equal(t, int(*spec.MaxConnectionsPerUser), loaded.MaxConnectionsPerUser)
	assert.Equal(t, string(spec.ConnectionsPerUserPolicy), loaded.ConnectionsPerUserPolicy)
	assert.Equal(t, spec.Presence.TTL.Duration, loaded.PresenceTTL)
	assert.Equal(t, spec.Presence.Grace.Duration, loaded.PresenceGrace)
	assert.Equal(t, *spec.Auth.Anonymous, loaded.Anonymous)
	assert.Equal(t, *spec.PersonalChannels, loaded.PersonalChannels)
	assert.Equal(t, *spec.OriginAnyPort, loaded.OriginAnyPort)
	assert.Equal(t, string(spec.ProxyProtocol), loaded.ProxyProtocol)
	assert.Equal(t, *spec.PublicHealth, loaded.PublicHealth)
	assert.Equal(t, spec.RefusalDelay.Duration, loaded.RefusalDelay)
	assert.Equal(t, spec.HTTPIdleTimeout.Duration, loaded.HTTPIdleTimeout)
	for i, want := range spec.Channels {
		rule := loaded.Channels[i : i+1].For(want.Pattern)
		assert.Equal(t, string(want.Publish), string(rule.Publish))
		assert.Equal(t, string(want.Subscribe), string(rule.Subscribe))
		assert.Equal(t, string(want.RecoveryMode), string(rule.RecoveryMode))
		assert.Equal(t, string(want.ReadPresence), string(rule.ReadPresence))
		assert.Equal(t, string(want.ReadHistory), string(rule.ReadHistory))
		assert.Equal(t, want.ForceJoinLeave, rule.ForceJoinLeave)
		assert.Equal(t, want.TagsFilter, rule.TagsFilter)
	}
}
