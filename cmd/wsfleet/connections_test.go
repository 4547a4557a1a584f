package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/gateway"
	"github.com/wsfleet/wsfleet/gateway/config"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// connectAs opens a connection of a user to a gateway until the test ends.
func connectAs(t *testing.T, to *gateway.Gateway, user, channel string) *wsclient.Conn {
	t.Helper()
	conn, err := dialAs(t, to, user, channel)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

// dialAs is connectAs for a connection that may be refused.
func dialAs(t *testing.T, to *gateway.Gateway, user, channel string) (*wsclient.Conn, error) {
	t.Helper()
	claims := jwt.MapClaims{"sub": user, "iat": time.Now().Add(-time.Minute).Unix()}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(testJWTKey))
	require.NoError(t, err)
	return wsclient.Dial(t.Context(), wsclient.Plain, to.Addr(), channel,
		http.Header{"Authorization": {"Bearer " + token}})
}

// users is a fleet of two gateways without a backplane: alice is on both, bob on the second.
type users struct {
	*fakeAPI
	second              *gateway.Gateway
	alice1, alice2, bob *wsclient.Conn
}

// startUsers starts the gateways of users. change sets what the test is about.
func startUsers(t *testing.T, change ...func(*config.Config)) users {
	t.Helper()
	api := startAPI(t)
	api.putFleet("chat", 2)
	first := api.putGateway("chat", "chat-gateway-1", change...)
	second := api.putGateway("chat", "chat-gateway-2", change...)
	u := users{fakeAPI: api, second: second}
	u.alice1 = connectAs(t, first, "alice", "lobby")
	u.bob = connectAs(t, second, "bob", "news")
	u.alice2 = connectAs(t, second, "alice", "news")
	return u
}

// listed returns what `connections -o json` lists.
func listed(t *testing.T, api *fakeAPI, args ...string) fleetview.ConnectionList {
	t.Helper()
	var list fleetview.ConnectionList
	r := succeed(t, plugin(t, api, append([]string{"connections", "-o", "json"}, args...)...))
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &list))
	return list
}

func TestConnectionsOfAllGatewaysAreSelected(t *testing.T) {
	t.Parallel()
	api := startUsers(t).fakeAPI
	for args, want := range map[string]string{
		"":                                     "alice@1 bob@2 alice@2",
		"chat --user alice":                    "alice@1 alice@2",
		"--user alice --channel news":          "alice@2",
		"--pod chat-gateway-2":                 "bob@2 alice@2",
		"chat --pod chat-gateway-1 --user bob": "",
		"--ip 127.0.0.0/8 --protocol plain":    "alice@1 bob@2 alice@2",
		"--ip 192.0.2.7":                       "",
	} {
		found := []string{}
		list := listed(t, api, strings.Fields(args)...)
		for _, one := range list.Items {
			found = append(found, one.User+"@"+strings.TrimPrefix(one.Pod, "chat-gateway-"))
		}
		assert.ElementsMatch(t, strings.Fields(want), found, args)
		assert.Equal(t, len(list.Items), list.Selected)
	}
	byUser := listed(t, api, "--sort", "user").Items
	assert.Equal(t, []string{"alice", "alice", "bob"}, []string{byUser[0].User, byUser[1].User, byUser[2].User})
	byPod := listed(t, api, "--sort", "pod", "--limit", "1").Items
	assert.Equal(t, "chat-gateway-1", byPod[0].Pod)
	out := succeed(t, plugin(t, api, "connections", "--sort", "pod", "--limit", "2")).stdout
	assert.Equal(t, []string{"alice", "chat-gateway-1", "127.0.0.1", "plain"}, words(t, out, "alice")[:4])
	assert.Contains(t, out, "Shown are 2 of 3 connections")
	var asYAML fleetview.ConnectionList
	require.NoError(t, yaml.Unmarshal([]byte(succeed(t, plugin(t, api, "connections", "-o", "yaml")).stdout), &asYAML))
	assert.Equal(t, listed(t, api), asYAML)
}

func TestConnectionsSayWhichGatewaysDidNotAnswer(t *testing.T) {
	t.Parallel()
	api := startUsers(t).fakeAPI
	api.putPod("chat", "chat-gateway-3")
	list := listed(t, api)
	assert.Len(t, list.Items, 3)
	assert.Equal(t, 3, list.Gateways)
	require.Len(t, list.Unanswered, 1)
	assert.Equal(t, "chat-gateway-3", list.Unanswered[0].Pod)
	out := succeed(t, plugin(t, api, "connections")).stdout
	assert.Contains(t, out, "1 of 3 gateways did not answer, so their clients are missing:\n  chat-gateway-3: ask gateway")

	r := run(plugin(t, api, "connections", "--pod", "chat-gateway-3"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, "no gateway of fleet chat answered: ask gateway chat-gateway-3")
	assert.Empty(t, r.stdout)
}

func TestConnectionsRefuse(t *testing.T) {
	t.Parallel()
	api := startUsers(t).fakeAPI
	api.putFleet("feed", 1)
	for name, c := range map[string]struct {
		args string
		code int
		want string
	}{
		"two fleets":      {"a b", exitUsage, "name one fleet at most"},
		"which fleet":     {"", exitUsage, "name one of chat, feed"},
		"no such fleet":   {"chatt", exitFailed, "there is no fleet chatt"},
		"no such pod":     {"--pod chat-gateway-9", exitFailed, "there is no such pod"},
		"another's pod":   {"feed --pod chat-gateway-1", exitFailed, "is no running gateway of fleet feed"},
		"empty user":      {"chat --user=", exitUsage, "--user: the value is empty"},
		"no address":      {"chat --ip localhost", exitUsage, "--ip: \"localhost\" cannot be used: give an address like"},
		"unknown order":   {"chat --sort size", exitUsage, "give one of age, user, ip, pod, queued"},
		"limit too small": {"chat --limit 0", exitUsage, "--limit: 0 cannot be used: give a number from 1 to 1000"},
		"limit too large": {"chat --limit 1001", exitUsage, "--limit: 1001 cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(plugin(t, api, append([]string{"connections"}, strings.Fields(c.args)...)...))
			assert.Equal(t, c.code, r.code)
			assert.Contains(t, r.stderr, c.want)
			assert.Empty(t, r.stdout)
		})
	}
	api.refuse("secrets/chat-admin")
	r := run(plugin(t, api, "connections", "chat"))
	assert.Equal(t, exitFailed, r.code)
	assert.Contains(t, r.stderr, `read the admin token of fleet chat: secrets "chat-admin" is forbidden`)
}

func TestConnectionsCompleteTheirFlags(t *testing.T) {
	t.Parallel()
	api := startAPI(t)
	api.putFleet("chat", 1)
	api.putPod("chat", "chat-gateway-1")
	api.putPod("feed", "feed-gateway-1")
	for want, args := range map[string][]string{
		"chat":                          {""},
		"chat-gateway-1 feed-gateway-1": {"--pod", ""},
		"chat-gateway-1":                {"chat", "--pod", ""},
		"age user ip pod queued":        {"--sort", ""},
		"centrifuge plain":              {"--protocol", ""},
	} {
		assert.ElementsMatch(t, strings.Fields(want), completions(t, api, append([]string{"connections"}, args...)...))
	}
}
