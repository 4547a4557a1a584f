package session

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// A timer's function may wait for the lock while its subscription is renewed or ended.
func TestExpireIgnoresAReplacedTimer(t *testing.T) {
	b := memory.New(memory.Options{})
	h := hub.New(hub.Options{Broker: b, Logger: slog.New(slog.DiscardHandler)})
	brokertest.Connect(b, h)
	none, err := hooks.New(hooks.Options{})
	require.NoError(t, err)
	s := New(&Options{Hub: h, Hooks: none, MaxChannels: 1, Timeout: time.Minute})
	request := SubscribeRequest{Channel: "a", ServerSide: true, ExpiresAt: time.Now().Add(time.Hour)}
	hubSub, _, err := s.reserve(t.Context(), &request)
	require.NoError(t, err)
	require.True(t, s.scheduleExpiry(hubSub, request))
	fired := s.subscriptions[0].grant.expiry
	told := func(string) { t.Error("told") }

	require.True(t, s.scheduleExpiry(hubSub, request))
	s.expire(hubSub, fired, SubscribeRequest{Expired: told})
	require.Equal(t, []string{"a"}, s.Channels(), "renewed")

	fired = s.subscriptions[0].grant.expiry
	require.True(t, s.Unsubscribe("a"))
	s.expire(hubSub, fired, SubscribeRequest{Expired: told})
	require.False(t, s.scheduleExpiry(hubSub, request), "ended")

	again, _, err := s.reserve(t.Context(), &request)
	require.NoError(t, err)
	require.True(t, s.scheduleExpiry(again, request))
	s.expire(hubSub, fired, SubscribeRequest{Expired: told})
	require.Equal(t, []string{"a"}, s.Channels(), "another subscription")
	s.Close()
}
