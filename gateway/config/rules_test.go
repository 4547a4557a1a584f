package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The command `config` prints rules in the form that a configuration file may have.
func TestLoadReturnsRulesAsAFileHasThem(t *testing.T) {
	file := `channels:
- pattern: chat:*
  history: {size: 100, ttl: 1h30m}
  recovery: true
  recoveryMode: Cache
  presence: true
  joinLeave: true
  forceJoinLeave: true
  tagsFilter: true
  readPresence: Anybody
  readHistory: Subscribers
  publish: Nobody
  subscribe: Token
  slowConsumer: Disconnect
- pattern: news
`
	want := channel.Rules{{
		Pattern: "chat:*", History: channel.History{Size: 100, TTL: channel.Duration(90 * time.Minute)},
		Recovery: true, RecoveryMode: channel.RecoveryCache, Presence: true, JoinLeave: true, ForceJoinLeave: true,
		TagsFilter:   true,
		ReadPresence: channel.ReadAnybody, ReadHistory: channel.ReadSubscribers,
		Publish: channel.PublishNobody, Subscribe: channel.SubscribeToken, SlowConsumer: channel.Disconnect,
	}, {Pattern: "news"}}
	loaded, err := load(t, file, nil)
	require.NoError(t, err)
	require.Equal(t, want, loaded.Config.Channels)
	require.Equal(t, []map[string]any{{
		"pattern": "chat:*", "history": map[string]any{"size": 100, "ttl": "1h30m0s"},
		"recovery": true, "recoveryMode": "Cache", "presence": true, "joinLeave": true, "forceJoinLeave": true,
		"tagsFilter":   true,
		"readPresence": "Anybody", "readHistory": "Subscribers",
		"publish": "Nobody", "subscribe": "Token", "slowConsumer": "Disconnect",
	}, {"pattern": "news"}}, loaded.Effective[contract.KeyChannels])
}
