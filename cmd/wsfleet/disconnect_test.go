package main

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// closed returns how a connection ended, which the test waits for.
func closed(t *testing.T, conn *wsclient.Conn) *wsclient.Closed {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	_, err := conn.Receive(ctx)
	ended, ok := errors.AsType[*wsclient.Closed](err)
	require.True(t, ok, "%v", err)
	return ended
}

func TestDisconnectClosesAllConnectionsOfAUser(t *testing.T) {
	t.Parallel()
	u := startUsers(t)
	out := succeed(t, plugin(t, u.fakeAPI, "disconnect", "--user", "alice")).stdout
	assert.Equal(t, "closed 2 connections of user alice with 3503 (force disconnect); clients stay away after this code\n",
		out)
	for _, conn := range []*wsclient.Conn{u.alice1, u.alice2} {
		ended := closed(t, conn)
		assert.Equal(t, 3503, ended.Code)
		assert.Equal(t, "force disconnect", ended.Reason)
	}
	assert.Equal(t, 1, listed(t, u.fakeAPI).Selected, "bob stays")
	out = succeed(t, plugin(t, u.fakeAPI, "disconnect", "--user", "alice")).stdout
	assert.Equal(t, "user alice has no connection\n", out)
}

func TestDisconnectClosesOneConnection(t *testing.T) {
	t.Parallel()
	u := startUsers(t)
	id := listed(t, u.fakeAPI, "--user", "bob").Items[0].ID
	r := succeed(t, plugin(t, u.fakeAPI, "disconnect", "chat", "--connection", id, "--code", "3001",
		"--reason", "elsewhere", "-o", "json"))
	var did fleetview.Disconnect
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &did))
	assert.Equal(t, fleetview.Disconnect{
		Kind: "Disconnect", Namespace: "default", Fleet: "chat", Connection: id, Connections: new(1), Code: 3001,
		Reason: "elsewhere", Reconnect: true,
	}, did)
	ended := closed(t, u.bob)
	assert.Equal(t, 3001, ended.Code)
	assert.Equal(t, "elsewhere", ended.Reason)
	assert.Equal(t, 2, listed(t, u.fakeAPI).Selected)

	for _, gone := range []string{id, "no-id"} {
		again := run(plugin(t, u.fakeAPI, "disconnect", "--connection", gone))
		assert.Equal(t, exitFailed, again.code)
		assert.Contains(t, again.stderr, "there is no such connection")
	}
}

// A token that was revoked does not let its client come back.
func TestDisconnectRevokesTokens(t *testing.T) {
	t.Parallel()
	u := startUsers(t)
	out := succeed(t, plugin(t, u.fakeAPI, "disconnect", "--user", "bob", "--revoke")).stdout
	assert.Contains(t, out, "the tokens of user bob that were issued until now are refused")
	assert.Equal(t, 3503, closed(t, u.bob).Code)
	_, err := dialAs(t, u.second, "bob", "news")
	refused, ok := errors.AsType[*wsclient.Refused](err)
	require.True(t, ok, "%v", err)
	assert.Equal(t, 401, refused.Status)
}

func TestDisconnectRefuses(t *testing.T) {
	t.Parallel()
	u := startUsers(t)
	for name, c := range map[string]struct {
		args string
		code int
		want string
	}{
		"nothing selected":    {"chat", exitUsage, "give either --user or --connection"},
		"both":                {"--user a --connection b", exitUsage, "give either --user or --connection"},
		"empty user":          {"--user=", exitUsage, "--user: the value is empty"},
		"empty connection":    {"--connection=", exitUsage, "--connection: the value is empty"},
		"code too small":      {"--user alice --code 1000", exitUsage, "--code: 1000 cannot be used: give a number"},
		"long reason":         {"--user alice --reason " + strings.Repeat("x", 124), exitUsage, "--reason: 124 bytes"},
		"revoke without user": {"--connection a --revoke", exitUsage, "--revoke: tokens are a user's: give --user"},
		"no such fleet":       {"chatt --user alice", exitFailed, "there is no fleet chatt"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(plugin(t, u.fakeAPI, append([]string{"disconnect"}, strings.Fields(c.args)...)...))
			assert.Equal(t, c.code, r.code)
			assert.Contains(t, r.stderr, c.want)
			assert.Empty(t, r.stdout)
		})
	}
	assert.Equal(t, 3, listed(t, u.fakeAPI).Selected, "a refused command changes nothing")
}

func TestDisconnectNeedsAGatewayThatAnswers(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	r := run(plugin(t, api, "disconnect", "--user", "alice"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "no gateway of fleet chat runs")

	api.putPod("chat", "chat-gateway-1")
	r = run(plugin(t, api, "disconnect", "--user", "alice"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "no gateway of fleet chat answered: ask gateway chat-gateway-1")

	api.putGateway("chat", "chat-gateway-2")
	r = succeed(t, plugin(t, api, "disconnect", "--user", "alice"))
	assert.Contains(t, r.stdout,
		"the clients of chat-gateway-1 were not reached, as the fleet has no backplane: ask gateway")
}
