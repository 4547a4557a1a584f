package controllers

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/internal/certtest"
)

func TestCertificateProblem(t *testing.T) {
	pair, other := certtest.New(t, "demo"), certtest.New(t, "demo")
	cert, key := pair.Cert, pair.Key
	secret := func(cert, key []byte) *corev1.Secret {
		return &corev1.Secret{Data: map[string][]byte{"tls.crt": cert, "tls.key": key}}
	}
	assert.Nil(t, certificateProblem(secret(cert, key)))
	for _, c := range []struct {
		name    string
		secret  *corev1.Secret
		reason  string
		message string
	}{
		{"no Secret", nil, v1alpha1.ReasonSecretNotFound, "create it in this namespace with the keys tls.crt and tls.key"},
		{"no certificate", secret(nil, key), v1alpha1.ReasonSecretKeyMissing, "without the key tls.crt"},
		{"no key", secret(cert, nil), v1alpha1.ReasonSecretKeyMissing, "without the key tls.key"},
		{"not PEM", secret([]byte("hunter2"), key), v1alpha1.ReasonCertificateInvalid, "no certificate in PEM"},
		{"another key", secret(cert, other.Key), v1alpha1.ReasonCertificateInvalid, "the key that belongs to it"},
		{"exchanged", secret(key, cert), v1alpha1.ReasonCertificateInvalid, "no certificate in PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			problem := certificateProblem(c.secret)
			require.NotNil(t, problem)
			assert.Equal(t, c.reason, problem.Reason)
			assert.Contains(t, problem.Message, "spec.gateway.tls.secretName")
			assert.Contains(t, problem.Message, c.message)
			assert.NotContains(t, problem.Message, "hunter2")
			assert.True(t, problem.BlocksGateways, "the running gateways stay as they are")
		})
	}
}
