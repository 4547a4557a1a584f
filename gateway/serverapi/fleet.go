package serverapi

import (
	"context"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Fleet is what the API needs of the gateway, which does it for the whole fleet. Besides the errors
// below it may return broker.ErrUnavailable and, from Publish, broker.ErrIdempotencyConflict. Any
// other error is logged, and the caller told no more than that there was one.
//
// Calls come from many goroutines and end with their context.
type Fleet interface {
	Publish(ctx context.Context, channel string, p broker.Publication, o PublishOptions) (broker.PublishResult, error)
	History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error)
	RemoveHistory(ctx context.Context, channel string) error
	Presence(ctx context.Context, channel string) (map[string]broker.ClientInfo, error)
	PresenceStats(ctx context.Context, channel string) (clients, users int, err error)
	// Channels are the channels that match a pattern of channel.Matches and have subscribers, with the
	// number of these.
	Channels(ctx context.Context, pattern string) (map[string]int, error)
	Gateways(ctx context.Context) ([]GatewayInfo, error)

	// Subscribe, Unsubscribe, Disconnect, Refresh and Send do it to each connection that the target
	// means. A user without connections is no error.
	Subscribe(ctx context.Context, t Target, channel string, o SubscribeOptions) error
	Unsubscribe(ctx context.Context, t Target, channel string) error
	Disconnect(ctx context.Context, t Target, d Disconnect, o DisconnectOptions) error
	Refresh(ctx context.Context, t Target, o RefreshOptions) error
	// Send returns how many connections it reached.
	Send(ctx context.Context, t Target, data []byte, binary bool) (reached int, err error)

	Connections(ctx context.Context, q ConnectionQuery) ([]Connection, error)
	Connection(ctx context.Context, id string) (*Connection, error)
}

// What a Backend may return. The caller is told what wraps ErrNotAvailable or broker.ErrUnrecoverable, so
// that must not hold a secret.
var (
	// ErrNotAvailable is something that the channel's rule does not have, like history, or that
	// the client's protocol cannot do.
	ErrNotAvailable = errors.New("not available")
	// ErrUnknownConnection is a Target.Client that is not connected, or not that user's.
	ErrUnknownConnection = errors.New("no such connection")
)

// Target is which connections are meant: all of a user, or the one of a client's id. With both it is
// the client's, if it is the user's. One of them is given.
type Target struct {
	User, Client string
}

// PublishOptions are how a publication is kept.
type PublishOptions struct {
	// IdempotencyKey makes it safe to publish again when nobody knows what became of the first time.
	IdempotencyKey string
	// SkipHistory keeps the publication out of the channel's stream.
	SkipHistory bool
}

// SubscribeOptions are what a subscription made by a backend has.
type SubscribeOptions struct {
	// Info is JSON that others see in presence, or empty.
	Info []byte
	// ExpireAt is when the subscription ends; zero is never.
	ExpireAt time.Time
	// RecoverSince makes the client get what came after a position first.
	RecoverSince *broker.Position
}

// Disconnect is what a client is told at the end.
type Disconnect struct {
	Code   int
	Reason string
}

// DisconnectOptions are whom a Disconnect spares, and for how long it holds.
type DisconnectOptions struct {
	// Whitelist are the clients that stay.
	Whitelist []string
	// Revoke refuses the user's tokens that were issued until now.
	Revoke bool
}

// RefreshOptions are what becomes of connections' expiry.
type RefreshOptions struct {
	// ExpireAt is the new time; zero is never.
	ExpireAt time.Time
	// Expired ends them now, as if their time were over.
	Expired bool
}

// GatewayInfo describes one gateway of the fleet. Gateways of other versions read its JSON, so its keys must not change.
type GatewayInfo struct {
	// UID is the ID of the process. It changes with every start, and Name does not.
	UID     string `json:"UID"`
	Name    string `json:"Name"`
	Version string `json:"Version"`
	// Clients is the number of connections.
	Clients int `json:"Clients"`
	// Users is the number of different users among them.
	Users int `json:"Users"`
	// Channels is the number of channels with subscribers.
	Channels int           `json:"Channels"`
	Uptime   time.Duration `json:"Uptime"`
}

// ConnectionQuery asks for the connections of a user or of a channel's subscribers: one of them is given.
type ConnectionQuery struct {
	User, Channel string
	Limit         int
}

// Connection is one client's.
type Connection struct {
	ID          string    `json:"id"`
	User        string    `json:"user"`
	Protocol    string    `json:"protocol"`
	RemoteIP    string    `json:"remoteIP"`
	ConnectedAt time.Time `json:"connectedAt"`
	// QueuedBytes wait for the client to read.
	QueuedBytes int      `json:"queuedBytes"`
	Channels    []string `json:"channels"`
	// Node is the name of the gateway that holds it.
	Node string `json:"node"`
}
