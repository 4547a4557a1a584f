package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/reconnect"
	"github.com/wsfleet/wsfleet/internal/simulate"
)

func TestCommandSimulateRefusesBadCommandLines(t *testing.T) {
	for want, args := range map[string][]string{
		"--event: nothing happens without one: give one or more": {},
		`--event: "rolout": unknown event: use rollout`:          {"--event", "rolout"},
		`"rollout" is no flag: give events like --event rollout`: {"rollout"},
		"unknown flag: --evnt; see `wsfleet simulate --help`":    {"--evnt", "rollout"},
		`--output: unknown format "yaml": use table or json`:     {"--event", "rollout", "--output", "yaml"},
		"--replicas: 0 gateways cannot be simulated":             {"--event", "rollout", "--replicas", "0"},
		`--layer: "m=x:1": unknown setting "x"`:                  {"--event", "rollout", "--layer", "m=x:1"},
		`--clients: unknown layer "m"`:                           {"--event", "rollout", "--clients", "m"},
		`--pod-start: "soon" is no time`:                         {"--event", "rollout", "--pod-start", "soon"},
		"--filename: open " + os.TempDir() + "/no/such":          {"--event", "rollout", "-f", os.TempDir() + "/no/such"},
		"--html: open " + os.TempDir() + "/no/such":              {"--event", "rollout", "--html", os.TempDir() + "/no/such"},
	} {
		code, stdout, stderr := runCommand(t, append([]string{"simulate"}, args...)...)
		require.Equal(t, exitUsage, code, want)
		require.Empty(t, stdout, want)
		require.Contains(t, stderr, want)
	}
}

func TestCommandSimulateOutput(t *testing.T) {
	directory := t.TempDir()
	fleet, page := filepath.Join(directory, "fleet.yaml"), filepath.Join(directory, "page.html")
	require.NoError(t, os.WriteFile(fleet, []byte("apiVersion: wsfleet.dev/v1alpha1\nkind: WebSocketCluster\n"+
		"metadata: {name: chat}\nspec: {replicas: 3, gateway: {connectRate: 100}}\n"), 0o600))
	args := []string{
		"simulate", "-f", fleet, "--connections", "3000", "--event", "rollout", "--event", "kill@10s", "--html", page,
		"--layer", "mine=delay:1s", "--clients", "mine=1,centrifuge=3",
	}
	code, stdout, stderr := runCommand(t, args...)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "3,000 connections on 3 gateways: rollout, kill=1@10s\n")
	require.Contains(t, stdout, "clients: mine 25 %, centrifuge 75 %\n")
	require.Contains(t, stdout, "of the reconnect budget, which is 100/s at its lowest")
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(content), "<svg")

	code, stdout, stderr = runCommand(t, append(args, "--output", "json")...)
	require.Zero(t, code, stderr)
	var r simulate.Result
	require.NoError(t, json.Unmarshal([]byte(stdout), &r))
	require.True(t, r.Settled)
	require.Equal(t, r.Disconnects.Total, r.Away.Returned)
	require.NotEmpty(t, r.Samples)
	_, again, _ := runCommand(t, append(args, "--output", "json")...)
	require.Equal(t, stdout, again, "the same seed gives the same result")
	_, other, _ := runCommand(t, append(args, "--output", "json", "--seed", "2")...)
	require.NotEqual(t, stdout, other)
}

func TestCommandSimulateReadsStandardInput(t *testing.T) {
	cmd := command(t, "simulate", "-f", "-", "--event", "scale-in=1")
	cmd.Stdin = strings.NewReader("apiVersion: wsfleet.dev/v1alpha1\nkind: WebSocketCluster\nspec: {replicas: 7}\n")
	out, err := cmd.Output()
	require.NoError(t, err)
	require.Contains(t, string(out), "35,000 connections on 7 gateways: scale-in=1\n")
}

func TestCommandSimulateFailsWhenTheFleetDoesNotSettle(t *testing.T) {
	code, stdout, stderr := runCommand(t, "simulate", "--replicas", "2", "--connections", "15000", "--event", "scale-in=1",
		"--limit", "2m")
	require.Equal(t, exitFailed, code)
	require.Empty(t, stderr, "the result says why")
	require.Contains(t, stdout, "NOTE: the fleet has not settled within the limit; the operator waits: those that stay")
}

func TestCommandSimulateHelpNamesEventsAndLayers(t *testing.T) {
	_, stdout, _ := runCommand(t, "simulate", "--help")
	for _, kind := range simulate.Kinds() {
		require.Contains(t, stdout, kind[0])
	}
	for _, layer := range reconnect.Names() {
		require.Contains(t, stdout, layer)
	}
	require.Contains(t, stdout, "wsfleet simulate --event rollout\n")
	_, stdout, _ = runCommand(t, "__complete", "simulate", "--event", "")
	require.Contains(t, stdout, "zone-loss\n")
}
