package integration

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

// secretUse is a field that names a Secret.
type secretUse struct {
	title string
	// without and with are specs without and with the field.
	without, with string
	field         string
	// condition is the type of the condition that shows a problem with the Secret.
	condition string
	key       string
}

// Values that are valid for every key.
const (
	firstValue  = "whsec_firstvaluefirstvaluefirstvaluefirst0"
	secondValue = "whsec_secondvaluesecondvaluesecondvaluesec"
)

func secretUses() []secretUse {
	return []secretUse{
		{
			title: "credentials", without: "redis: {external: {addresses: ['r:6379']}}",
			with:  "redis: {external: {addresses: ['r:6379'], credentialsSecretRef: {name: mine}}}",
			field: "spec.redis.external.credentialsSecretRef", condition: v1alpha1.ConditionBackplaneReady, key: "password",
		},
		{
			title: "api-key", without: "{}", with: "gateway: {auth: {apiKeySecretRef: {name: mine, key: backend}}}",
			field: "spec.gateway.auth.apiKeySecretRef", condition: v1alpha1.ConditionSpecAccepted, key: "backend",
		},
		{
			title:     "previous-api-key",
			without:   "{}",
			with:      "gateway: {auth: {apiKeySecretRef: {name: mine, key: other}, previousAPIKeySecretRef: {name: mine}}}",
			field:     "spec.gateway.auth.previousAPIKeySecretRef",
			condition: v1alpha1.ConditionSpecAccepted,
			key:       "api-previous-key",
		},
		{
			title: "jwt-key", without: "{}", with: "gateway: {auth: {anonymous: false, jwt: {secretRef: {name: mine}}}}",
			field: "spec.gateway.auth.jwt.secretRef", condition: v1alpha1.ConditionSpecAccepted, key: "jwt-key",
		},
		{
			title:     "previous-jwt-key",
			without:   "{}",
			with:      "gateway: {auth: {jwt: {secretRef: {name: mine, key: other}, previousSecretRef: {name: mine}}}}",
			field:     "spec.gateway.auth.jwt.previousSecretRef",
			condition: v1alpha1.ConditionSpecAccepted,
			key:       "jwt-previous-key",
		},
		{
			title:     "hook-secret",
			without:   "{}",
			with:      "gateway: {hooks: {secretRef: {name: mine}}, webhooks: {url: 'http://127.0.0.1:1/events'}}",
			field:     "spec.gateway.hooks.secretRef",
			condition: v1alpha1.ConditionSpecAccepted,
			key:       "hook-secret",
		},
	}
}

// A Secret that is missing or lacks the key holds the change back: the running gateways stay as they are, the status
// and an event name the field and the remedy, and the fleet heals when the Secret is complete.
func TestReconcilerHoldsGatewaysForAMissingSecret(t *testing.T) {
	t.Parallel()
	for _, use := range secretUses() {
		t.Run(use.title, func(t *testing.T) {
			o := startOperator(t)
			f := createFleet(t, o.namespace, "fleet", use.without)
			f.eventuallySettled()
			f.eventuallyHas(gatewayDeployment)
			running := gatewayDeployment.get(t, f)

			f.setSpec(use.with)
			f.eventuallyCondition(use.condition, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, use.field, "create it")
			f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonSecretNotFound, use.field)
			requireUntouched(t, f, gatewayDeployment, running)

			secret := createSecret(t, o.namespace, "mine", map[string]string{"wrong": "value", "other": firstValue})
			f.eventuallyCondition(use.condition, metav1.ConditionFalse, v1alpha1.ReasonSecretKeyMissing, use.field,
				"add it to the Secret")
			f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonSecretKeyMissing, use.field)
			requireUntouched(t, f, gatewayDeployment, running)

			secret.StringData = map[string]string{use.key: firstValue}
			require.NoError(t, env.client.Update(t.Context(), secret))
			f.eventually(func(t *assert.CollectT) {
				assert.Contains(t, read(t, gatewayDeployment.get(t, f), container+".env[*].valueFrom.secretKeyRef.name"), "mine")
			})
			f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
		})
	}
}

// A key that the gateways would refuse holds the change back too.
func TestReconcilerHoldsGatewaysForAShortKey(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	secret := createSecret(t, o.namespace, "mine", map[string]string{"jwt-key": "short-value"})
	f := createFleet(t, o.namespace, "fleet", "{}")
	f.eventuallySettled()
	f.eventuallyHas(gatewayDeployment)
	running := gatewayDeployment.get(t, f)

	f.setSpec("gateway: {auth: {jwt: {secretRef: {name: mine}}}}")
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionFalse, v1alpha1.ReasonSecretKeyTooShort,
		"spec.gateway.auth.jwt.secretRef", "32 bytes")
	f.eventuallyEvent(corev1.EventTypeWarning, v1alpha1.ReasonSecretKeyTooShort, "spec.gateway.auth.jwt.secretRef")
	requireUntouched(t, f, gatewayDeployment, running)
	requireNowhere(t, f, "short-value")

	secret.StringData = map[string]string{"jwt-key": firstValue}
	require.NoError(t, env.client.Update(t.Context(), secret))
	f.eventuallyCondition(v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	gatewayConfiguration(t, f, "pod")
}

// A fleet whose Secret is missing from the start starts when the Secret is created.
func TestReconcilerStartsGatewaysWhenTheSecretComes(t *testing.T) {
	t.Parallel()
	for _, use := range secretUses() {
		t.Run(use.title, func(t *testing.T) {
			o := startOperator(t)
			f := createFleet(t, o.namespace, "fleet", use.with)
			f.eventuallyCondition(use.condition, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, use.field)
			f.eventuallyLacks(gatewayDeployment)
			createSecret(t, o.namespace, "mine", map[string]string{use.key: firstValue, "other": firstValue})
			f.eventuallyHas(gatewayDeployment)
		})
	}
}

// Gateways read their Secrets at their start, so a new value rolls them. The value shows nowhere but in the Secret.
func TestReconcilerRollsGatewaysForAChangedSecret(t *testing.T) {
	t.Parallel()
	for _, use := range secretUses() {
		t.Run(use.title, func(t *testing.T) {
			o := startOperator(t)
			secret := createSecret(t, o.namespace, "mine", map[string]string{use.key: firstValue, "other": firstValue})
			f := createFleet(t, o.namespace, "fleet", use.with)
			f.eventuallyHas(gatewayDeployment)
			before := read(t, gatewayDeployment.get(t, f), ".spec.template.metadata.annotations")

			secret.StringData = map[string]string{use.key: secondValue}
			require.NoError(t, env.client.Update(t.Context(), secret))
			f.eventually(func(t *assert.CollectT) {
				assert.NotEqual(t, before, read(t, gatewayDeployment.get(t, f), ".spec.template.metadata.annotations"))
			})
			requireNowhere(t, f, firstValue, secondValue)
		})
	}
}

// A change of a key that no field names does not roll the gateways.
func TestReconcilerIgnoresOtherKeysOfASecret(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	secret := createSecret(t, o.namespace, "mine", map[string]string{"backend": "value"})
	f := createFleet(t, o.namespace, "fleet", "gateway: {auth: {apiKeySecretRef: {name: mine, key: backend}}}")
	f.eventuallyHas(gatewayDeployment)
	f.eventuallySettled()
	o.awaitQuiet()
	before := gatewayDeployment.get(t, f)
	secret.StringData = map[string]string{"other": "new"}
	require.NoError(t, env.client.Update(t.Context(), secret))
	o.awaitQuiet()
	requireUntouched(t, f, gatewayDeployment, before)
}

// Gateways reload their certificate, so a renewed one does not roll them.
func TestReconcilerIgnoresAChangedCertificate(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	secret := createCertificate(t, o.namespace, "certificate")
	f := createFleet(t, o.namespace, "fleet", "gateway: {tls: {secretName: certificate}}")
	f.eventuallyHas(gatewayDeployment)
	f.eventuallySettled()
	o.awaitQuiet()
	before := gatewayDeployment.get(t, f)
	secret.StringData = certificateData(t, "second")
	require.NoError(t, env.client.Update(t.Context(), secret))
	o.awaitQuiet()
	requireUntouched(t, f, gatewayDeployment, before)
}

// requireNowhere asserts that none of the words shows in the fleet, its objects or its events.
func requireNowhere(t *testing.T, f *fleet, words ...string) {
	t.Helper()
	texts := []string{string(mustJSON(t, f.get(t)))}
	for _, c := range []child{gatewayDeployment, gatewayService} {
		texts = append(texts, string(mustJSON(t, c.get(t, f))))
	}
	var events corev1.EventList
	require.NoError(t, env.client.List(t.Context(), &events, client.InNamespace(f.namespace)))
	texts = append(texts, string(mustJSON(t, events)))
	for _, text := range texts {
		for _, word := range words {
			require.NotContains(t, text, word)
		}
	}
}

func mustJSON(t *testing.T, value any) []byte {
	t.Helper()
	data, err := json.Marshal(value)
	require.NoError(t, err)
	return data
}
