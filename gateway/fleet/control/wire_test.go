package control

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
)

// During a rolling update gateways of two versions exchange this JSON.
func TestWireFormatKeepsItsKeys(t *testing.T) {
	for name, c := range map[string]struct {
		value any
		want  string
	}{
		"command": {
			command{
				Action:   actionSubscribe,
				User:     "u",
				Client:   "c",
				Channel:  "ch",
				Info:     []byte("1"),
				ExpireAt: time.Unix(0, 0).UTC(),
				Expired:  true,
				Since:    &broker.Position{Offset: 1, Epoch: "e"},
				Data:     []byte("2"),
				Binary:   true,
				Code:     3000,
				Reason:   "r",
				Except:   []string{"x"},
			},
			`{"do":"subscribe","user":"u","client":"c","channel":"ch","info":"MQ==","expireAt":"1970-01-01T00:00:00Z",
				"expired":true,"since":{"Offset":1,"Epoch":"e"},"data":"Mg==","binary":true,"code":3000,"reason":"r",
				"spared":["x"]}`,
		},
		"outcome": {
			outcome{Found: 1, Done: 2, NotAvailable: true, Full: true, Failed: true},
			`{"found":1,"done":2,"notAvailable":true,"full":true,"failed":true}`,
		},
		"connections": {
			connectionsParams{User: "u", Channel: "ch", Client: "c", Limit: 3},
			`{"user":"u","channel":"ch","client":"c","limit":3}`,
		},
		"channels": {channelsParams{Pattern: "p"}, `{"pattern":"p"}`},
		"gateway": {
			serverapi.GatewayInfo{UID: "i", Name: "n", Version: "v", Clients: 1, Users: 2, Channels: 3, Uptime: 4},
			`{"UID":"i","Name":"n","Version":"v","Clients":1,"Users":2,"Channels":3,"Uptime":4}`,
		},
		"gateway with its process": {
			serverapi.GatewayInfo{Subscriptions: 5, Process: &serverapi.Process{CPU: 1.5, RSS: 6}},
			`{"UID":"","Name":"","Version":"","Clients":0,"Users":0,"Channels":0,"Subscriptions":5,"Uptime":0,` +
				`"Process":{"CPU":1.5,"RSS":6}}`,
		},
	} {
		encoded, err := json.Marshal(c.value)
		require.NoError(t, err)
		require.JSONEq(t, c.want, string(encoded), name)
	}
	require.Equal(t, []string{"order", "connections", "channels"},
		[]string{methodCommand, methodConnections, methodChannels})
}
