// Package session is what one client may do and does: its subscriptions, its limits, its way to
// publish. Protocols translate between their frames and a session.
package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
)

// What a client can get wrong.
var (
	ErrChannelName    = errors.New("channel name must be 1 to 255 bytes of UTF-8 without control characters")
	ErrSubscribed     = errors.New("already subscribed")
	ErrNotSubscribed  = errors.New("only subscribers may publish to a channel")
	ErrTooManyChannel = errors.New("too many channels on one connection")
)

// longestChannel is the protocol's usual bound, and leaves room for a prefix in Redis.
const longestChannel = 255

// Options are the same for all sessions of a gateway.
type Options struct {
	Hub    *hub.Hub
	Broker broker.Broker
	// MaxChannels is how many channels one session may subscribe to.
	MaxChannels int
	// Timeout bounds what waits for the broker.
	Timeout time.Duration
	// Published counts attempts to publish, with the time they took and their error.
	Published func(took time.Duration, err error)
}

// Session is one client's. Subscribe, Unsubscribe and Publish are called by its own goroutine only.
type Session struct {
	options *Options

	mu sync.Mutex
	// holds is a list because most clients have a handful, and there may be many clients.
	holds []*hub.Hold
}

// New returns a session without subscriptions. Close it.
func New(o *Options) Session { return Session{options: o} }

// find is the place of a channel's hold, or -1; the session is locked.
func (s *Session) find(channel string) int {
	return slices.IndexFunc(s.holds, func(h *hub.Hold) bool { return h.Channel() == channel })
}

// held is the channel's hold, or nil.
func (s *Session) held(channel string) *hub.Hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := s.find(channel); i >= 0 {
		return s.holds[i]
	}
	return nil
}

// Reserve makes this gateway receive the channel, and counts it as the session's. Nothing is
// delivered before Attach.
func (s *Session) Reserve(ctx context.Context, channel string) error {
	if err := CheckChannel(channel); err != nil {
		return err
	}
	if err := s.room(channel); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	hold, err := s.options.Hub.Hold(ctx, channel)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds == nil {
		s.holds = make([]*hub.Hold, 0, 1)
	}
	s.holds = append(s.holds, hold)
	return nil
}

// room says why a channel cannot be added.
func (s *Session) room(channel string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.find(channel) >= 0:
		return ErrSubscribed
	case len(s.holds) >= s.options.MaxChannels:
		return fmt.Errorf("%w: the limit is %d", ErrTooManyChannel, s.options.MaxChannels)
	}
	return nil
}

// Attach begins the delivery of a reserved channel; acknowledge runs ahead of any publication.
func (s *Session) Attach(channel string, to hub.Subscriber, acknowledge func()) {
	s.held(channel).Attach(to, acknowledge)
}

// Unsubscribe ends a subscription, if there is one.
func (s *Session) Unsubscribe(channel string) {
	s.mu.Lock()
	var hold *hub.Hold
	if i := s.find(channel); i >= 0 {
		hold = s.holds[i]
		s.holds = slices.Delete(s.holds, i, i+1)
	}
	s.mu.Unlock()
	if hold != nil {
		hold.Release()
	}
}

// Publish hands a message to the broker and waits until it has it.
func (s *Session) Publish(ctx context.Context, channel string, p broker.Publication) error {
	hold := s.held(channel)
	if hold == nil {
		return ErrNotSubscribed
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	start := time.Now()
	err := s.options.Broker.Publish(ctx, hold.Channel(), p)
	s.options.Published(time.Since(start), err)
	return err
}

// Channels are the session's subscriptions, sorted.
func (s *Session) Channels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.holds))
	for _, hold := range s.holds {
		out = append(out, hold.Channel())
	}
	slices.Sort(out)
	return out
}

// Close ends all subscriptions.
func (s *Session) Close() {
	s.mu.Lock()
	holds := s.holds
	s.holds = nil
	s.mu.Unlock()
	for _, hold := range holds {
		hold.Release()
	}
}

// CheckChannel refuses names that could not be logged, typed or stored.
func CheckChannel(name string) error {
	if name == "" || len(name) > longestChannel || !utf8.ValidString(name) {
		return ErrChannelName
	}
	for _, r := range name {
		if unicode.IsControl(r) {
			return ErrChannelName
		}
	}
	return nil
}
