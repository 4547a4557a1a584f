package session

import (
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// A timer may have fired, and wait for the lock, when its subscription is renewed or ended.
func TestATimerThatFiredTooLateEndsNothing(t *testing.T) {
	b := memory.New(memory.Options{})
	h := hub.New(hub.Options{Broker: b, Logger: slog.New(slog.DiscardHandler)})
	brokertest.Connect(b, h)
	s := New(&Options{Hub: h, MaxChannels: 1, Timeout: time.Minute})
	wish := Subscription{Channel: "a", ServerSide: true, ExpiresAt: time.Now().Add(time.Hour)}
	hold, _, err := s.reserve(t.Context(), &wish)
	require.NoError(t, err)
	require.True(t, s.expireAt(hold, wish))
	fired := s.subscriptions[0].terms.expiry
	told := func(string) { t.Error("told") }

	require.True(t, s.expireAt(hold, wish))
	s.expire(hold, fired, told)
	require.Equal(t, []string{"a"}, s.Channels(), "renewed")

	fired = s.subscriptions[0].terms.expiry
	require.True(t, s.Unsubscribe("a"))
	s.expire(hold, fired, told)
	require.False(t, s.expireAt(hold, wish), "ended")

	again, _, err := s.reserve(t.Context(), &wish)
	require.NoError(t, err)
	require.True(t, s.expireAt(again, wish))
	s.expire(hold, fired, told)
	require.Equal(t, []string{"a"}, s.Channels(), "another subscription")
	s.Close()
}
