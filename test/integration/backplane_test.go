package integration

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// Everything but the containers is real: the gateways start from the configuration that the operator wrote and carry
// messages through a Redis, and the operator scrapes their reports.
func TestStatusFollowsARealRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Standalone(t, "right-password")
	o := startOperator(t)
	createSecret(t, o.namespace, "credentials", map[string]string{"password": "right-password"})
	f := createFleet(t, o.namespace, "fleet",
		"redis: {external: {addresses: ['"+redis.Addr()+"'], credentialsSecretRef: {name: credentials}}}")
	first, second := runGateway(t, f, "fleet-gateway-1"), runGateway(t, f, "fleet-gateway-2")
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
	requireFanOut(t, first, second)
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "2/2", f.get(t).Status.Ready) })

	redis.Stop()
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonUnreachable,
		"spec.redis.external.addresses", "2 of 2")

	redis.Start()
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
	requireFanOut(t, first, second)
}

// requireFanOut asserts that a client of one gateway receives what a client of the other publishes.
func requireFanOut(t *testing.T, from, to *realGateway) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	sender, err := wsclient.Dial(ctx, wsclient.Plain, from.Addr(), "lobby", nil)
	require.NoError(t, err)
	defer func() { _ = sender.CloseNow() }()
	receiver, err := wsclient.Dial(ctx, wsclient.Plain, to.Addr(), "lobby", nil)
	require.NoError(t, err)
	defer func() { _ = receiver.CloseNow() }()
	require.NotEqual(t, sender.Node(), receiver.Node())
	sent := "sent at " + time.Now().Format(time.RFC3339Nano)
	require.NoError(t, sender.Publish(ctx, sent))
	got, err := receiver.Receive(ctx)
	require.NoError(t, err)
	require.Equal(t, sent, got)
}

// The status distinguishes a Redis that refuses the credentials from one that is not reachable.
func TestStatusShowsRefusedRedisCredentials(t *testing.T) {
	t.Parallel()
	redis := redistest.Standalone(t, "right-password")
	o := startOperator(t)
	secret := createSecret(t, o.namespace, "credentials", map[string]string{"password": "wrong-password"})
	f := createFleet(t, o.namespace, "fleet",
		"redis: {external: {addresses: ['"+redis.Addr()+"'], credentialsSecretRef: {name: credentials}}}")
	old := runGateway(t, f, "fleet-gateway-old")
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialsRefused,
		"spec.redis.external.credentialsSecretRef")
	requireNowhere(t, f, "wrong-password")

	before := read(t, gatewayDeployment.get(t, f), ".spec.template.metadata.annotations")
	secret.StringData = map[string]string{"password": "right-password"}
	require.NoError(t, env.client.Update(t.Context(), secret))
	f.eventually(func(t *assert.CollectT) {
		assert.NotEqual(t, before, read(t, gatewayDeployment.get(t, f), ".spec.template.metadata.annotations"))
	})
	// The rollout that follows, done by hand.
	runGateway(t, f, "fleet-gateway-new")
	old.remove(t)
	old.stop()
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonConnected)
}

// No Redis listens at the address. The spec is accepted and the gateway serves its own clients, but the fleet is not
// ready, and may become so without a change of the spec.
func TestStatusShowsUnreachableRedis(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{replicas: 1, redis: {external: {addresses: ['127.0.0.1:1']}}}")
	runGateway(t, f, "fleet-gateway-1")
	f.rollOut()
	words := []string{"1 of 1 gateways", "spec.redis.external.addresses", "spec.redis.external.mode", "the network"}
	const reason = v1alpha1.ReasonUnreachable
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionFalse, reason, words...)
	f.eventuallyEvent(corev1.EventTypeWarning, reason, words...)
	f.eventuallyCondition(v1alpha1.ConditionReady, metav1.ConditionFalse, reason, words...)
	f.requireCondition(t, v1alpha1.ConditionReconciling, metav1.ConditionTrue, reason, words...)
	f.requireCondition(t, v1alpha1.ConditionStalled, metav1.ConditionFalse, reason)
	f.requireCondition(t, v1alpha1.ConditionSpecAccepted, metav1.ConditionTrue, v1alpha1.ReasonAccepted)
	f.requireCondition(t, v1alpha1.ConditionAvailable, metav1.ConditionTrue, v1alpha1.ReasonEnoughServing, "1 of 1")
}

// A gateway without Redis starts from the configuration that the operator writes.
func TestStatusOfARealGatewayWithoutRedis(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "{redis: {}, replicas: 1}")
	runGateway(t, f, "fleet-gateway-1")
	f.eventually(func(t *assert.CollectT) { assert.Equal(t, "1/1", f.get(t).Status.Ready) })
	f.eventuallyCondition(v1alpha1.ConditionBackplaneReady, metav1.ConditionTrue, v1alpha1.ReasonInMemory)
}
