package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/controllers/render"
)

func secretWith(key, value string) *corev1.Secret {
	return &corev1.Secret{Data: map[string][]byte{key: []byte(value)}}
}

func digestsWith(key, value string) secretDigests {
	return secretDigests{key: valueDigest{bytes: len(value)}}
}

func TestRedisCredentialsProblem(t *testing.T) {
	assert.Nil(t, redisCredentialsProblem(digestsWith("password", "hunter2")))
	for reason, secrets := range map[string][]secretDigests{
		v1alpha1.ReasonSecretNotFound:   {nil},
		v1alpha1.ReasonSecretKeyMissing: {{}, digestsWith("pass", "hunter2"), digestsWith("password", "")},
	} {
		for _, secret := range secrets {
			problem := redisCredentialsProblem(secret)
			require.NotNil(t, problem)
			assert.Equal(t, reason, problem.Reason)
			assert.Contains(t, problem.Message, "spec.redis.external.credentialsSecretRef")
			assert.NotContains(t, problem.Message, "hunter2")
			assert.True(t, problem.AffectsRedis && problem.BlocksGateways)
		}
	}
}

func TestSecretValueProblem(t *testing.T) {
	value := render.SecretValue{
		Setting:  "a-setting",
		Field:    "spec.a.field",
		Secret:   "s",
		Key:      "k",
		MinBytes: 8,
	}
	assert.Nil(t, secretValueProblem(digestsWith("k", "hunter23"), value))
	for reason, secret := range map[string]secretDigests{
		v1alpha1.ReasonSecretNotFound:    nil,
		v1alpha1.ReasonSecretKeyMissing:  digestsWith("other", "hunter23"),
		v1alpha1.ReasonSecretKeyTooShort: digestsWith("k", "hunter2"),
	} {
		problem := secretValueProblem(secret, value)
		require.NotNil(t, problem)
		assert.Equal(t, reason, problem.Reason)
		assert.Contains(t, problem.Message, "spec.a.field")
		assert.Contains(t, problem.Message, "a-setting")
		assert.NotContains(t, problem.Message, "hunter2")
		assert.True(t, problem.BlocksGateways && !problem.AffectsRedis)
	}
}

func TestKeepOrGenerateMakesEachValueOnce(t *testing.T) {
	assert.Equal(t, "old", keepOrGenerate(secretWith("k", "old"), "k"))
	one, two := keepOrGenerate(nil, "k"), keepOrGenerate(secretWith("k", ""), "k")
	assert.NotEqual(t, one, two)
	assert.Len(t, one, 43, "32 random bytes")
}
