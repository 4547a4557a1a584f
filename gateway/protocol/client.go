package protocol

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Client is a connected client, as the server API sees it. What a protocol cannot say to its clients
// it does without a word, or reports as not done.
type Client interface {
	Conn() transport.Conn
	User() string
	// Protocol is what the server API and webhooks call it.
	Protocol() string
	Channels() []string
	// Subscribe lets the client have a channel whatever the channel's rule says.
	Subscribe(ctx context.Context, s Subscription) error
	// Unsubscribe reports whether there was such a subscription.
	Unsubscribe(channel string) bool
	// Message reports whether the message was queued for the client.
	Message(data []byte, binary bool) bool
	Disconnect(code int, reason string)
	// Refresh sets when the connection expires; zero is never, expired is now.
	Refresh(expireAt time.Time, expired bool)
}

// Subscription is one that the server makes.
type Subscription struct {
	Channel string
	// Info is JSON that others see in presence, or empty.
	Info []byte
	// ExpireAt is when it ends; zero is never.
	ExpireAt time.Time
	// Since makes the client get what came after a position first.
	Since *broker.Position
}
