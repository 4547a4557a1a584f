package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/api/v1alpha1"
)

func TestRebalanceAsksTheOperator(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	cluster := api.putFleet("chat", 2)
	api.putGateway("chat", "chat-gateway-1")
	api.putGateway("chat", "chat-gateway-2")
	out := succeed(t, plugin(t, api, "rebalance")).stdout
	assert.Contains(t, out, "Next:      nothing: the gateways stay as they are", "they have no clients")
	at, err := time.Parse(time.RFC3339, cluster.Annotations[v1alpha1.AnnotationRebalance])
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), at, time.Minute)
	assert.False(t, at.After(time.Now()), "one that is still to come means nothing")

	cluster.Spec.Paused = true
	r := run(plugin(t, api, "rebalance", "chat"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "spec.paused is true")
	cluster.Spec.Paused = false

	api.refuse("secrets/chat-admin")
	r = run(plugin(t, api, "rebalance"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "the operator is asked to rebalance; what it does next is not known")

	api.refuse("websocketclusters/chat")
	r = run(plugin(t, api, "rebalance", "chat"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "annotate WebSocketCluster default/chat")
	assert.Contains(t, r.stderr, "forbidden")
}
