package protocol

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Client is a connected client as the server API and reports see it. What a protocol cannot tell its clients it does
// without telling them, or reports as not done. Base implements most of it.
type Client interface {
	// Conn returns the client's connection.
	Conn() transport.Conn
	// User returns the client's user, which is empty for a client without one.
	User() string
	// Protocol returns the name that the server API and webhooks use for the client's protocol.
	Protocol() string
	// Channels returns the names of the client's channels, sorted.
	Channels() []string
	// Subscribe subscribes the client to a channel whatever the channel's rule says. Its errors are those of
	// session.Session.Subscribe.
	Subscribe(ctx context.Context, s Subscription) error
	// Unsubscribe ends a subscription, and reports whether there was one.
	Unsubscribe(channel string) bool
	// Message sends data that belongs to no channel, and reports whether it was queued for the client.
	Message(data []byte, binary bool) bool
	// Disconnect closes the connection with a close code and a reason.
	Disconnect(code int, reason string)
	// Replace closes the connection in favour of a newer one of the same user. The client should stay away, or two clients
	// would take each other's place again and again.
	Replace()
	// Replaceable reports whether Replace may be called now. It does not block.
	Replaceable() bool
	// Refresh sets when the connection expires, and what others see of the client. It returns an error that wraps
	// broker.ErrUnavailable when the channels' presence does not show the latter.
	Refresh(ctx context.Context, r Refresh) error
}

// Refresh is what the server changes of a connection.
type Refresh struct {
	// ExpireAt is when the connection expires; zero means never.
	ExpireAt time.Time
	// Expired means that it expires now.
	Expired bool
	// Info is JSON that others see of the client from now on, or empty for no change.
	Info []byte
}

// Subscription is a subscription that the server makes for a client.
type Subscription struct {
	Channel string
	// Info is JSON that others see about the client in presence, or empty.
	Info []byte
	// Data is told to a client whose protocol has a place for it, or empty.
	Data hooks.Payload
	// ExpireAt ends the subscription; zero means never.
	ExpireAt time.Time
	// Since makes the client get what came after a position first; nil means from now on.
	Since *broker.Position
}
