package centrifuge

import (
	"encoding/json"

	cf "github.com/centrifugal/protocol"
)

// Commands of one client run side by side where the broker or the backend may take long, so that none of them waits for
// another channel or for a call to the backend. Those with the same key run in the order in which the client sent them.

// Keys of commands that belong to no channel. Channel names hold no control characters. Refreshes have one, so that
// what the client is told last is what holds.
const (
	keySend    = "\x00send"
	keyRefresh = "\x00refresh"
)

// orderKey returns the key of a command; the empty key means that nothing has to wait for the command.
func orderKey(cmd *cf.Command) string {
	switch {
	case cmd.Subscribe != nil:
		return cmd.Subscribe.Channel
	case cmd.Unsubscribe != nil:
		return cmd.Unsubscribe.Channel
	case cmd.Publish != nil:
		return cmd.Publish.Channel
	case cmd.History != nil:
		return cmd.History.Channel
	case cmd.Presence != nil:
		return cmd.Presence.Channel
	case cmd.PresenceStats != nil:
		return cmd.PresenceStats.Channel
	case cmd.SubRefresh != nil:
		return cmd.SubRefresh.Channel
	case cmd.Refresh != nil:
		return keyRefresh
	case cmd.Send != nil:
		return keySend
	case cmd.Rpc != nil && cmd.Rpc.Method == methodPublish:
		return publishCallChannel(cmd.Rpc.Data)
	}
	return ""
}

// publishCallChannel returns the channel in the data of a call of methodPublish, or nothing when there is none.
func publishCallChannel(data []byte) string {
	var call struct {
		Channel string `json:"channel"`
	}
	if json.Unmarshal(data, &call) != nil {
		return ""
	}
	return call.Channel
}

// mayTakeLong reports whether a command of a connected client may wait for the broker or the backend.
func (c *client) mayTakeLong(cmd *cf.Command) bool {
	if !c.HasJoined() {
		return false
	}
	o := &c.centrifuge.options.Session
	switch {
	case cmd.Connect != nil, cmd.Ping != nil, cmd.Unsubscribe != nil:
		return false
	case cmd.Subscribe != nil:
		return o.Remote || o.Hooks.HasSubscribe()
	case cmd.Publish != nil, cmd.Rpc != nil && cmd.Rpc.Method == methodPublish:
		return o.Remote || o.Hooks.HasPublish()
	case cmd.Rpc != nil, cmd.Send != nil:
		return o.Hooks.HasRPC()
	case cmd.History != nil, cmd.Presence != nil, cmd.PresenceStats != nil, cmd.Refresh != nil, cmd.SubRefresh != nil:
		return o.Remote
	}
	return false
}
