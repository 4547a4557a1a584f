package serverapi

import (
	"context"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Fleet is what the API can do with the fleet. Package control implements it. Its methods are called from many
// goroutines and must return soon after ctx ends.
//
// All methods may return errors that wrap broker.ErrUnavailable. An error that is not named here is logged, and the
// caller of the API only learns that there was one.
type Fleet interface {
	// Publish publishes p to a channel. It returns broker.ErrIdempotencyConflict when the idempotency key was used for
	// other data.
	Publish(ctx context.Context, channel string, p broker.Publication, o PublishOptions) (broker.PublishResult, error)
	// History returns a part of a channel's stream. It returns ErrNotAvailable for a channel without history, and
	// broker.ErrUnrecoverable when q.Since is of another epoch.
	History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error)
	// RemoveHistory deletes the publications of a channel's stream. It returns ErrNotAvailable for a channel without
	// history.
	RemoveHistory(ctx context.Context, channel string) error
	// Presence returns the clients in a channel by their ids. It returns ErrNotAvailable for a channel without presence.
	Presence(ctx context.Context, channel string) (map[string]broker.ClientInfo, error)
	// PresenceStats returns the numbers of clients and different users in a channel. It returns ErrNotAvailable for a
	// channel without presence.
	PresenceStats(ctx context.Context, channel string) (clients, users int, err error)
	// Channels returns the channels that have subscribers and match a pattern of channel.Matches, with the number of
	// subscribers. It returns an error when a gateway of the fleet does not answer.
	Channels(ctx context.Context, pattern string) (map[string]int, error)
	// Gateways returns all gateways of the fleet. It returns an error when the broker cannot be read.
	Gateways(ctx context.Context) ([]GatewayInfo, error)

	// Subscribe subscribes the target's connections to a channel. Like the methods below, it returns ErrUnknownConnection
	// when Target.Client is not connected, and ErrNotAvailable when a client's protocol or the channel does not allow it.
	// A user without connections is no error.
	Subscribe(ctx context.Context, t Target, channel string, o SubscribeOptions) error
	// Unsubscribe ends the subscriptions of the target's connections to a channel. It returns the errors of Subscribe.
	Unsubscribe(ctx context.Context, t Target, channel string) error
	// Disconnect closes the target's connections. It returns the errors of Subscribe.
	Disconnect(ctx context.Context, t Target, d Disconnect, o DisconnectOptions) error
	// Refresh changes when the target's connections expire. It returns the errors of Subscribe.
	Refresh(ctx context.Context, t Target, o RefreshOptions) error
	// Send sends a message to the target's connections outside of channels. It returns the number of connections that got
	// the message, and the errors of Subscribe.
	Send(ctx context.Context, t Target, data []byte, binary bool) (reached int, err error)

	// Connections lists connections of the fleet, the oldest first. It returns an error when a gateway of the fleet does
	// not answer.
	Connections(ctx context.Context, q ConnectionQuery) ([]Connection, error)
	// Connection returns one connection by its id, or ErrUnknownConnection.
	Connection(ctx context.Context, id string) (*Connection, error)
}

// The errors of a Fleet. The caller of the API sees the text of errors that wrap ErrNotAvailable or
// broker.ErrUnrecoverable, so it must not contain secrets.
var (
	// ErrNotAvailable means that the channel's rule does not allow it, for example history, or that a client's protocol
	// cannot do it.
	ErrNotAvailable = errors.New("not available")
	// ErrUnknownConnection means that Target.Client is not connected, or does not belong to Target.User.
	ErrUnknownConnection = errors.New("no such connection")
)

// Target selects connections by user, by client id, or by both. At least one of the fields is set.
type Target struct {
	// User selects all connections of a user.
	User string
	// Client selects one connection. With User, it selects the connection only if it belongs to the user.
	Client string
}

// PublishOptions say how a publication is stored.
type PublishOptions struct {
	// IdempotencyKey makes it safe to publish again when the outcome of the first attempt is unknown.
	IdempotencyKey string
	// SkipHistory means that the publication is not added to the channel's stream.
	SkipHistory bool
}

// SubscribeOptions describe a subscription that the API makes.
type SubscribeOptions struct {
	// Info is JSON that other clients see in presence, or empty.
	Info []byte
	// Data is told to the client with the subscription, or empty. Binary means that it is not text.
	Data   []byte
	Binary bool
	// ExpireAt is when the subscription expires. Zero is never.
	ExpireAt time.Time
	// RecoverSince, if not nil, is the position after which the client first gets the stream.
	RecoverSince *broker.Position
}

// Disconnect is the content of the close frame.
type Disconnect struct {
	Code   int
	Reason string
}

// DisconnectOptions say which connections stay and what else happens.
type DisconnectOptions struct {
	// Whitelist are the ids of the connections that stay.
	Whitelist []string
	// Revoke revokes the user's tokens that were issued before now.
	Revoke bool
}

// RefreshOptions say when connections expire.
type RefreshOptions struct {
	// ExpireAt is the new time of expiry. Zero is never.
	ExpireAt time.Time
	// Expired means that the connections expire now.
	Expired bool
	// Info is JSON that other clients see of the connections from now on, or empty for no change.
	Info []byte
}

// GatewayInfo describes one gateway of the fleet. Gateways of other versions read its JSON, so its keys must not
// change.
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
	Channels int `json:"Channels"`
	// Subscriptions is the number of subscriptions of clients. Gateways of older versions do not say it.
	Subscriptions int           `json:"Subscriptions,omitempty"`
	Uptime        time.Duration `json:"Uptime"`
	// Process is nil where it is not known.
	Process *Process `json:"Process,omitempty"`
}

// Process is what the process of a gateway uses.
type Process struct {
	// CPU is the use of processors in percent: 100 is one processor.
	CPU float64 `json:"CPU"`
	// RSS is the resident memory in bytes.
	RSS int64 `json:"RSS"`
}

// ConnectionQuery selects the connections of a user or those of a channel's subscribers. One of the two is set.
type ConnectionQuery struct {
	User    string
	Channel string
	// Limit is the maximum number of connections.
	Limit int
}

// Connection describes a connection. Callers of the API and gateways of other versions read its JSON.
type Connection struct {
	ID          string    `json:"id"`
	User        string    `json:"user"`
	Protocol    string    `json:"protocol"`
	RemoteIP    string    `json:"remoteIP"`
	ConnectedAt time.Time `json:"connectedAt"`
	// QueuedBytes is the number of bytes that the client has yet to read.
	QueuedBytes int      `json:"queuedBytes"`
	Channels    []string `json:"channels"`
	// Node is the name of the gateway.
	Node string `json:"node"`
}
