package fleetview_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/internal/golden"
)

// answersOfThree are those of a fleet of three gateways, of which one does not answer.
func answersOfThree() []fleetview.GatewayConnections {
	connection := func(id, user, ip string, minutes, queued int, channels ...string) contract.Connection {
		return contract.Connection{
			ID: id, User: user, Protocol: "plain", RemoteIP: ip, Channels: channels, QueuedBytes: queued,
			ConnectedAt: now.Add(-time.Duration(minutes) * time.Minute),
		}
	}
	return []fleetview.GatewayConnections{
		{Pod: "chat-gateway-b", List: contract.ConnectionList{Total: 10, Selected: new(2), Connections: []contract.Connection{
			connection("c1", "zoe", "192.0.2.10", 60, 0, "lobby"),
			connection("c2", "", "192.0.2.9", 10, 4096, "a", "b", "c", "d", "e"),
		}}},
		{Pod: "chat-gateway-a", List: contract.ConnectionList{Total: 5, Selected: new(3), Connections: []contract.Connection{
			connection("c3", "adam", "2001:db8::1", 30, 12),
			connection("c4", "\x1b[2Jeve\n", "192.0.2.9", 5, 0, "lobby"),
		}}},
		{Pod: "chat-gateway-c", Err: errors.New("ask gateway chat-gateway-c: connection refused")},
	}
}

func TestConnectionsOfAllGatewaysAreInOneOrder(t *testing.T) {
	for order, want := range map[string]string{
		contract.SortAge:    "c1 c3 c2 c4",
		contract.SortUser:   "c2 c4 c3 c1",
		contract.SortIP:     "c2 c4 c1 c3",
		contract.SortQueued: "c2 c3 c1 c4",
		fleetview.SortPod:   "c3 c4 c1 c2",
	} {
		list := fleetview.Connections("default", "chat", answersOfThree(), order, 100, now)
		var ids []string
		for _, one := range list.Items {
			ids = append(ids, one.ID)
		}
		assert.Equal(t, want, strings.Join(ids, " "), order)
	}
}

func TestConnectionsSayWhatIsMissing(t *testing.T) {
	list := fleetview.Connections("default", "chat", answersOfThree(), contract.SortAge, 3, now)
	assert.Len(t, list.Items, 3)
	assert.Equal(t, 5, list.Selected)
	assert.Equal(t, 15, list.Open)
	var text strings.Builder
	require.NoError(t, list.WriteText(&text))
	golden.File(t, "testdata/connections.txt", text.String())
	assert.NotContains(t, text.String(), "\x1b", "a client's name must not control the terminal")

	asJSON, err := json.MarshalIndent(list, "", "  ")
	require.NoError(t, err)
	golden.File(t, "testdata/connections.json", string(asJSON)+"\n")
}

func TestConnectionsOfAFleetThatHasNone(t *testing.T) {
	for want, answers := range map[string][]fleetview.GatewayConnections{
		"No gateway of the fleet runs.\n": nil,
		"0 of 7 open connections.\n":      {{Pod: "a", List: contract.ConnectionList{Total: 7, Selected: new(0)}}},
	} {
		var text strings.Builder
		require.NoError(t, fleetview.Connections("default", "chat", answers, contract.SortAge, 100, now).WriteText(&text))
		assert.Equal(t, want, text.String())
	}
}
