package fleetview_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

func TestDisconnectSaysWhatItDid(t *testing.T) {
	unanswered := []fleetview.Unanswered{{Pod: "chat-gateway-2", Reason: "connection refused"}}
	for want, d := range map[string]fleetview.Disconnect{
		"closed 2 connections of user alice with 3503 (bye); clients stay away after this code\n": {
			User: "alice", Connections: new(2), Code: 3503, Reason: "bye",
		},
		"closed 1 connection of user alice with 3000 (bye); clients come back after this code\n": {
			User: "alice", Connections: new(1), Code: 3000, Reason: "bye", Reconnect: true,
		},
		"closed the connections of user alice with 3503 (bye); clients stay away after this code\n": {
			User: "alice", Code: 3503, Reason: "bye",
		},
		"closed connection c1 with 3503 (bye); clients stay away after this code\n": {
			Connection: "c1", Connections: new(1), Code: 3503, Reason: "bye",
		},
		"user alice has no connection\nthe tokens of user alice that were issued until now are refused\n": {
			User: "alice", Connections: new(0), Revoked: true,
		},
		"user alice has no connection\n" +
			"the clients of chat-gateway-2 were not reached, as the fleet has no backplane: connection refused\n": {
			User: "alice", Connections: new(0), Unanswered: unanswered,
		},
	} {
		var text strings.Builder
		require.NoError(t, d.WriteText(&text))
		assert.Equal(t, want, text.String())
	}
}

func TestCodesAfterWhichClientsComeBack(t *testing.T) {
	for code, want := range map[int]bool{
		2999: false, 3000: true, 3499: true, 3500: false, 3999: false, 4000: true, 4499: true, 4500: false, 4999: false,
	} {
		assert.Equal(t, want, fleetview.ReconnectsAfter(code), code)
	}
}
