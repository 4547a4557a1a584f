// Package session is what one client may do and does: who it is, its subscriptions, its limits, its
// way to publish and to ask. Protocols translate between their frames and a session.
//
// identify.go says who a client is, access.go what that allows, subscribe.go and publish.go do it; list.go
// keeps the subscriptions, end.go ends them.
package session

import (
	"context"
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

// Options are the same for all sessions of a gateway.
type Options struct {
	Hub      *hub.Hub
	Broker   broker.Broker
	Presence Presence
	// Anonymous lets clients in that nobody knows.
	Anonymous bool
	Tokens    Tokens
	Hooks     *hooks.Hooks
	// MaxChannels is how many channels one session may subscribe to.
	MaxChannels int
	// Timeout bounds what waits for the broker. Hooks have their own.
	Timeout time.Duration
	// MaxHistoryBytes is how much of a channel's history, or of its presence, a client gets at once;
	// 0: no limit.
	MaxHistoryBytes int
	// Reads are shared with others; nil: every session reads alone.
	Reads *Reads
	// Published counts attempts to publish, with the time they took and their error.
	Published func(took time.Duration, err error)
}

// Tokens are verified by an auth.Verifier.
type Tokens interface {
	Connection(ctx context.Context, token string) (*auth.Claims, error)
	Subscription(ctx context.Context, token, user, channel string) (*auth.SubscriptionClaims, error)
}

// Presence is a presence.Keeper.
type Presence interface {
	Join(ctx context.Context, channel string, m broker.ClientInfo) (settle func(begun bool), err error)
	Leave(channel string, m broker.ClientInfo, said bool)
}

// Session is one client's. Its methods may be called from anywhere.
type Session struct {
	options *Options

	mu sync.Mutex
	// client is the connection's id; nil while there is none. who is what its token or backend says of
	// it; nil: nobody knows.
	client uuid.UUID
	who    *auth.Claims
	// backing is what the backend said of the client, where it was asked and said something.
	backing *Backing
	// subscriptions are a list because most clients have a handful, and there may be many clients.
	subscriptions []subscription
	// last is the number of the latest subscription.
	last   uint32
	closed bool
}

// New returns a session without subscriptions. Close it.
func New(o *Options) Session { return Session{options: o} }

// Begin says who the client is: its connection's id, if there is one yet, and what is known of it.
func (s *Session) Begin(client uuid.UUID, who Identified) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.client, s.who, s.backing = client, who.Claims, who.Backing
}

// User is the client's, or empty.
func (s *Session) User() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.who == nil {
		return ""
	}
	return s.who.User
}

// id is the connection's as others see it; the session is locked.
func (s *Session) id() string {
	if s.client == uuid.Nil {
		return ""
	}
	return s.client.String()
}

// claims are who the client is; nil: nobody knows.
func (s *Session) claims() *auth.Claims {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.who
}

// Rule is what holds for a channel.
func (s *Session) Rule(channel string) channel.Rule { return s.options.Hub.Rule(channel) }

// Channels are the session's subscriptions, sorted.
func (s *Session) Channels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.subscriptions))
	for _, sub := range s.subscriptions {
		if sub.hold != nil {
			out = append(out, sub.channel)
		}
	}
	slices.Sort(out)
	return out
}

// Info is what others see of the client in a channel.
func (s *Session) Info(channel string) broker.ClientInfo {
	s.mu.Lock()
	defer s.mu.Unlock()
	var t *terms
	if i := s.find(channel); i >= 0 {
		t = s.subscriptions[i].terms
	}
	return s.info(t)
}

// Present is what others see of the client in a channel in which it is present; false: it is not.
func (s *Session) Present(channel string) (broker.ClientInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.find(channel)
	if i < 0 || !s.subscriptions[i].present {
		return broker.ClientInfo{}, false
	}
	return s.info(s.subscriptions[i].terms), true
}

// info is what others see under some terms; the session is locked.
func (s *Session) info(t *terms) broker.ClientInfo {
	i := broker.ClientInfo{Client: s.id()}
	if s.who != nil {
		i.User, i.ConnInfo = s.who.User, s.who.Info
	}
	if t != nil {
		i.ChanInfo = t.info
	}
	return i
}

// Close ends all subscriptions. Who is present stays so for the grace.
func (s *Session) Close() {
	s.mu.Lock()
	ended := s.subscriptions
	s.subscriptions, s.closed = nil, true
	s.mu.Unlock()
	for _, sub := range ended {
		s.release(sub, false)
	}
}
