// Package session holds what one client of the gateway is and does: its identity, its subscriptions and limits, and its
// ways to publish, to read and to call the backend. The protocols (gateway/protocol/...) translate between their frames
// and a Session.
//
// identify.go finds out the client's identity, refresh.go replaces it, askrefresh.go lets the backend prolong it,
// personal.go adds the personal channel, access.go decides what it allows, subscribe.go and publish.go carry out what
// the client asks for. subscriptions.go keeps the list of subscriptions, end.go ends them, read.go and coalescer.go
// read the broker for many clients at once.
package session

import (
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Broker is what sessions need of the broker.
type Broker interface {
	broker.Publisher
	broker.HistoryReader
	broker.PresenceReader
	// Revoked is that of broker.Revocations and returns its errors.
	Revoked(ctx context.Context, user string) (until time.Time, err error)
}

// Options are shared by all sessions of a gateway.
type Options struct {
	Hub      *hub.Hub
	Broker   Broker
	Presence Presence
	// Anonymous lets in clients that have neither a token nor an identity from the connect hook.
	Anonymous bool
	Tokens    Tokens
	Hooks     *hooks.Hooks
	// PersonalChannels subscribes each client that has a user to the user's personal channel, and lets the names of
	// channels say which users may subscribe.
	PersonalChannels bool
	// MaxChannels is the maximum number of channels that one session subscribes to.
	MaxChannels int
	// Timeout is the maximum time of one operation of the broker. Hooks have timeouts of their own.
	Timeout time.Duration
	// MaxHistoryBytes is the maximum size, in bytes, of one answer with history or presence; 0 means no limit.
	MaxHistoryBytes int
	// Remote reports that the broker or the issuer of tokens is reached over the network, so that what asks them may take
	// long.
	Remote bool
	// Coalescer shares equal reads among sessions; nil makes every session read by itself.
	Coalescer *Coalescer
	// Published is called after every attempt to publish, with its duration and its error.
	Published func(took time.Duration, err error)
	// Logger is needed with PersonalChannels.
	Logger *slog.Logger
}

// Tokens verifies tokens. auth.Verifier implements it, and its documentation names the errors.
type Tokens interface {
	// Connection returns the claims of a connection token, or auth.ErrInvalid, auth.ErrExpired, auth.ErrUnavailable or
	// auth.ErrOff.
	Connection(ctx context.Context, token string) (*auth.Claims, error)
	// Subscription returns the claims of a token for the subscription of a user to a channel. Its errors are those of
	// Connection.
	Subscription(ctx context.Context, token, user, channel string) (*auth.SubscriptionClaims, error)
}

// Presence keeps the members of channels. presence.Keeper implements it.
type Presence interface {
	// Join makes a client a member of a channel. Without an error the caller must call settle: with true when the
	// client's subscription has begun, so that the join is published, and with false to undo Join. An error wraps
	// broker.ErrUnavailable.
	Join(ctx context.Context, channel string, m broker.ClientInfo) (settle func(begun bool), err error)
	// Update shows what others see of a member now: info returns it, or false when it has left. An error wraps
	// broker.ErrUnavailable.
	Update(ctx context.Context, channel, client string, info func() (broker.ClientInfo, bool)) error
	// Leave takes a member out: at once when it left explicitly, and after a grace period otherwise.
	Leave(channel string, m broker.ClientInfo, explicitly bool)
	// LeaveAll takes a client whose connection was lost out of n channels, after a grace period.
	LeaveAll(client string, n int, members iter.Seq2[string, broker.ClientInfo])
}

// Session is the state of one client. It is safe for use by many goroutines.
type Session struct {
	options *Options

	// mu guards the fields below.
	mu sync.Mutex
	// connection is the ID of the connection, or uuid.Nil before it exists.
	connection uuid.UUID
	// id is the connection's ID as others see it, once it was asked for. The members of all channels share the string.
	id string
	// claims are what the client's token and the backend say about it; nil for an anonymous client.
	claims *auth.Claims
	// overrides are what the connect hook said, or nil.
	overrides *Overrides
	// subscriptions are a list because most clients have a handful, and there may be many clients.
	subscriptions []subscription
	// lastNumber is the number of the latest subscription.
	lastNumber uint32
	closed     bool
}

// New returns a session without subscriptions. The caller must Close it.
func New(o *Options) Session { return Session{options: o} }

// Bind sets the client's connection and identity. A protocol that subscribes during the handshake calls it with
// uuid.Nil first, and again when the connection exists.
func (s *Session) Bind(connection uuid.UUID, identity Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connection, s.id, s.claims, s.overrides = connection, "", identity.Claims, identity.Overrides
}

// User returns the client's user, which is empty for a client without one.
func (s *Session) User() string {
	if claims := s.identity(); claims != nil {
		return claims.User
	}
	return ""
}

// clientID returns the connection's ID as others see it. The caller holds mu.
func (s *Session) clientID() string {
	if s.id == "" && s.connection != uuid.Nil {
		s.id = s.connection.String()
	}
	return s.id
}

// identity returns the client's claims; nil for an anonymous client.
func (s *Session) identity() *auth.Claims {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims
}

// Rule returns the rule of a channel.
func (s *Session) Rule(channel string) channel.Rule { return s.options.Hub.Rule(channel) }

// Channels returns the names of the channels that the session is subscribed to, sorted.
func (s *Session) Channels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.subscriptions))
	for _, sub := range s.subscriptions {
		if sub.hub != nil {
			out = append(out, sub.channel)
		}
	}
	slices.Sort(out)
	return out
}

// Resumes reports whether a client of a protocol with recovery misses nothing while it is away for a moment: each of
// its channels keeps what is published.
func (s *Session) Resumes() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(s.subscriptions, func(sub subscription) bool {
		return sub.hub != nil && !s.Rule(sub.channel).Recovery
	})
}

// PublisherInfo returns what the subscribers of a channel see about the client when it publishes there.
func (s *Session) PublisherInfo(channel string) broker.ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var g *grant
	if i := s.indexOfChannel(channel); i >= 0 {
		g = s.subscriptions[i].grant
	}
	return s.clientInfo(g)
}

// ClientInfo returns the client's entry in the presence of a channel, and false when the client has none.
func (s *Session) ClientInfo(channel string) (broker.ClientInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.indexOfChannel(channel)
	if i < 0 || !s.subscriptions[i].inPresence {
		return broker.ClientInfo{}, false
	}
	return s.clientInfo(s.subscriptions[i].grant), true
}

// clientInfo returns what others see about the client in a channel; g is the subscription's grant, or nil. The caller
// holds mu.
func (s *Session) clientInfo(g *grant) broker.ClientInfo {
	i := broker.ClientInfo{Client: s.clientID()}
	if s.claims != nil {
		i.User, i.ConnInfo = s.claims.User, s.claims.Info
	}
	if g != nil {
		i.ChanInfo = g.info
	}
	return i
}

// Close ends all subscriptions, and makes later ones fail with ErrSubscriptionEnded. The client stays in presence for
// the grace period.
func (s *Session) Close() {
	s.mu.Lock()
	ended, present := s.subscriptions, 0
	s.subscriptions, s.closed = nil, true
	for i := range ended {
		ended[i].stopExpiry()
		if ended[i].inPresence {
			present++
		}
	}
	var info broker.ClientInfo
	if present > 0 {
		info = s.clientInfo(nil)
	}
	s.mu.Unlock()
	for i := range ended {
		if ended[i].hub != nil {
			ended[i].hub.Release()
		}
	}
	if present == 0 {
		return
	}
	s.options.Presence.LeaveAll(info.Client, present, func(yield func(string, broker.ClientInfo) bool) {
		for i := range ended {
			if !ended[i].inPresence {
				continue
			}
			if info.ChanInfo = nil; ended[i].grant != nil {
				info.ChanInfo = ended[i].grant.info
			}
			if !yield(ended[i].channel, info) {
				return
			}
		}
	})
}
