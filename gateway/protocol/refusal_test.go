package protocol

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/fleet/registry"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// A refused handshake is answered in HTTP, without secrets.
func TestRefusalFor(t *testing.T) {
	for _, c := range []struct {
		err    error
		status int
		reason string
		retry  bool
	}{
		{session.ErrChannelName, 400, "bad_request", false},
		{fmt.Errorf("%w: the limit is 4", session.ErrTooManyChannels), 400, "channel_limit", false},
		{fmt.Errorf("%w: secret", session.ErrInvalidToken), 401, "token", false},
		{session.ErrExpiredToken, 401, "token_expired", false},
		{session.ErrUnauthorized, 401, "token", false},
		{session.ErrNotAllowed, 403, "permission", false},
		{registry.ErrTooManyConnections, 429, "per_user", true},
		{&hooks.Error{Code: 403, Message: "not yours"}, 403, "hook", false},
		{&hooks.Disconnect{Code: 4001, Reason: "banned"}, 403, "hook", false},
		{fmt.Errorf("%w: secret", hooks.ErrDown), 503, "hook", true},
		{fmt.Errorf("%w: secret", auth.ErrUnavailable), 503, "hook", true},
		{session.ErrInfoTooLarge, 503, "hook", true},
		{fmt.Errorf("%w: secret", broker.ErrUnavailable), 503, "broker", true},
		{errors.New("secret"), 503, "broker", true},
		{recovery.ErrPanic, 500, "internal", false},
		{BadRequest("what"), 400, "bad_request", false},
	} {
		got := RefusalFor(c.err)
		require.Equal(t, c.status, got.Status, c.err)
		require.Equal(t, c.reason, got.Reason, c.err)
		require.Equal(t, c.retry, got.RetryAfter > 0, c.err)
		require.NotContains(t, got.Message, "secret")
	}
}
