package session

import (
	"log/slog"
	"runtime"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/brokertest"
	"github.com/wsfleet/wsfleet/gateway/broker/memory"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// newSession returns a session of one channel, without hooks.
func newSession(t *testing.T) Session {
	t.Helper()
	b := memory.New(memory.Options{})
	h := hub.New(hub.Options{Broker: b, Logger: slog.New(slog.DiscardHandler)})
	brokertest.Connect(b, h)
	none, err := hooks.New(hooks.Options{})
	require.NoError(t, err)
	return New(&Options{Hub: h, Hooks: none, MaxChannels: 1, Timeout: time.Minute})
}

// A timer's function may wait for the lock while its subscription is renewed or ended.
func TestExpireIgnoresAReplacedTimer(t *testing.T) {
	s := newSession(t)
	request := SubscribeRequest{Channel: "a", ServerSide: true, ExpiresAt: time.Now().Add(time.Hour)}
	hubSub, _, err := s.reserve(t.Context(), &request)
	require.NoError(t, err)
	require.True(t, s.scheduleExpiry(hubSub, request.ending()))
	fired := s.subscriptions[0].grant.expiry
	told := func(string) { t.Error("told") }

	require.True(t, s.scheduleExpiry(hubSub, request.ending()))
	s.expire(hubSub, fired, ending{expired: told})
	require.Equal(t, []string{"a"}, s.Channels(), "renewed")

	fired = s.subscriptions[0].grant.expiry
	require.True(t, s.Unsubscribe("a"))
	s.expire(hubSub, fired, ending{expired: told})
	require.False(t, s.scheduleExpiry(hubSub, request.ending()), "ended")

	again, _, err := s.reserve(t.Context(), &request)
	require.NoError(t, err)
	require.True(t, s.scheduleExpiry(again, request.ending()))
	s.expire(hubSub, fired, ending{expired: told})
	require.Equal(t, []string{"a"}, s.Channels(), "another subscription")
	s.Close()
}

func TestScheduleExpiryKeepsNothingOfTheClientsFrame(t *testing.T) {
	s := newSession(t)
	frame := make([]byte, 64<<10)
	held := weak.Make(&frame[0])
	require.NoError(t, s.Reserve(t.Context(), SubscribeRequest{
		Channel: "a", ServerSide: true, ExpiresAt: time.Now().Add(time.Hour), Data: hooks.Payload{Bytes: frame},
	}))
	runtime.GC()
	require.Nil(t, held.Value())
	require.Equal(t, []string{"a"}, s.Channels())
	s.Close()
}
