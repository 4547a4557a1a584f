package fleetview_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/controllers/plan"
)

func TestCheckDrain(t *testing.T) {
	for name, c := range map[string]struct {
		fleet fleetview.Observation
		force bool
		want  string
	}{
		"beside another": {with(observation(2), serving("pod-01", 5), serving("pod-02", 5)), false, ""},
		"the last that serves": {with(observation(2), serving("pod-01", 5), serving("pod-02", 5, draining("by hand", 1))),
			false, "is the last gateway that serves"},
		"the last by force": {with(observation(1), serving("pod-01", 5)), true, ""},
		"more clients than the others hold": {with(observation(2), serving("pod-01", 600), serving("pod-02", 600)), false,
			"the fleet has 1200 connections, and they hold 1000"},
		"more clients by force":    {with(observation(2), serving("pod-01", 600), serving("pod-02", 600)), true, ""},
		"empty in a full fleet":    {with(observation(2), serving("pod-01", 0), serving("pod-02", 1000)), false, ""},
		"one that drains":          {with(observation(1), serving("pod-01", 5, draining("by hand", 1))), false, ""},
		"one whose pod is deleted": {with(observation(1), serving("pod-01", 5, deleted)), true, "is being deleted"},
		"one that does not answer": {with(observation(1), serving("pod-01", 5, silent)), true,
			"nothing was changed: it is silent: ask gateway: connection refused"},
		"one that has ended": {with(observation(1), serving("pod-01", 0, ended)), true,
			"it is ended: Evicted: low on memory"},
		"one that was deleted meanwhile": {observation(1), true, "the pod is gone"},
	} {
		t.Run(name, func(t *testing.T) { requireError(t, c.want, fleetview.CheckDrain(c.fleet, "pod-01", c.force)) })
	}
}

func TestCheckDrainSaysWhyNoGatewayWasAsked(t *testing.T) {
	o := with(observation(1), serving("pod-01", 0, func(g *gateway) { g.asked = false }))
	o.NotAsked = "secrets is forbidden"
	requireError(t, "secrets is forbidden", fleetview.CheckDrain(o, "pod-01", true))
}

func TestCheckUndrain(t *testing.T) {
	scaledIn := serving("pod-01", 5, draining(plan.DrainReasonScaleIn, 1))
	for name, c := range map[string]struct {
		gateway gateway
		// size is the size that the Deployment has still.
		size int32
		want string
	}{
		"drained by hand":            {serving("pod-01", 0, drained("by hand")), 1, ""},
		"serving":                    {serving("pod-01", 5), 1, ""},
		"being deleted":              {serving("pod-01", 5, draining("preStop", 1), deleted), 1, "cannot be undone"},
		"for a scale-in":             {scaledIn, 2, "kubectl scale -n default websocketcluster/chat --replicas=2"},
		"for a scale-in that is off": {scaledIn, 1, ""},
		"without an answer":          {serving("pod-01", 5, silent), 1, "nothing was changed"},
	} {
		t.Run(name, func(t *testing.T) {
			o := with(observation(1), c.gateway)
			o.Deployment.Spec.Replicas = &c.size
			requireError(t, c.want, fleetview.CheckUndrain(o, "pod-01"))
		})
	}
}

func requireError(t *testing.T, want string, err error) {
	t.Helper()
	if want == "" {
		require.NoError(t, err)
		return
	}
	require.ErrorContains(t, err, want)
}

func TestGatewayAsText(t *testing.T) {
	for _, c := range []struct {
		gateway gateway
		want    string
	}{
		{serving("pod-01", 5), "pod-01 is serving"},
		{serving("pod-01", 40, draining("by hand", 4)),
			"pod-01: 40 connections left (draining: by hand, 4 closes/s, about 10s left)"},
		{serving("pod-01", 0, drained("by hand")), "pod-01 is drained: 7 connections were closed one after the other, " +
			"0 at once at the deadline; it stays so until `undrain pod-01`, or until its pod is deleted"},
		{serving("pod-01", 5, silent), "pod-01 is silent: ask gateway: connection refused"},
	} {
		view, err := fleetview.GatewayStatus(with(observation(1), c.gateway), "pod-01")
		require.NoError(t, err)
		assert.Equal(t, c.want+"\n", text(t, view))
	}
}

func TestOverdueIsAfterTheDeadlineAndAMargin(t *testing.T) {
	view, err := fleetview.GatewayStatus(with(observation(1), serving("pod-01", 5, draining("by hand", 1))), "pod-01")
	require.NoError(t, err)
	assert.False(t, view.Overdue(time.Second, now.Add(51*time.Second)))
	assert.True(t, view.Overdue(time.Second, now.Add(52*time.Second)))
}
