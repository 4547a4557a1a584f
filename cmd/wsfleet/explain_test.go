package main

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

func TestExplainPlansAsTheOperator(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	cluster := api.putFleet("chat", 2)
	busy := api.putGateway("chat", "chat-gateway-1")
	api.putGateway("chat", "chat-gateway-2")
	connect(t, busy.Addr(), 2)
	cluster.Spec.Replicas = new(int32(1))
	out := succeed(t, plugin(t, api, "explain")).stdout
	assert.Contains(t, out, "Size:      1 wanted (spec.replicas), 2 by the Deployment, 2 pods")
	assert.Contains(t, out, "Next:      gateway chat-gateway-2 drains: 0 connections")
	assert.Equal(t, []string{"1", "chat-gateway-2", "serves;", "goes", "now", "0", "-"}, words(t, out, "1")[:7])

	var plan fleetview.Plan
	require.NoError(t, json.Unmarshal([]byte(succeed(t, plugin(t, api, "explain", "chat", "-o", "json")).stdout), &plan))
	assert.Equal(t, fleetview.KindPlan, plan.Kind)
}

func TestExplainNeedsOneFleetAndItsReports(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putGateway("chat", "chat-gateway-1")
	api.refuse("secrets/chat-admin")
	r := run(plugin(t, api, "explain"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, `secrets "chat-admin" is forbidden`)

	api.putFleet("feed", 1)
	r = run(plugin(t, api, "explain"))
	assert.Equal(t, exitUsage, r.code)
	assert.Equal(t, "kubectl wsc: namespace default has several fleets: name one of chat, feed\n", r.stderr)
}
