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
	options Options

	mu    sync.Mutex
	holds map[string]*hub.Hold
}

// New returns a session without subscriptions. Close it.
func New(o Options) *Session {
	return &Session{options: o, holds: map[string]*hub.Hold{}}
}

// Reserve makes this gateway receive the channel, and counts it as the session's. Nothing is
// delivered before Attach.
func (s *Session) Reserve(ctx context.Context, channel string) error {
	if err := CheckChannel(channel); err != nil {
		return err
	}
	s.mu.Lock()
	_, have := s.holds[channel]
	count := len(s.holds)
	s.mu.Unlock()
	switch {
	case have:
		return ErrSubscribed
	case count >= s.options.MaxChannels:
		return fmt.Errorf("%w: the limit is %d", ErrTooManyChannel, s.options.MaxChannels)
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	hold, err := s.options.Hub.Hold(ctx, channel)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.holds[channel] = hold
	s.mu.Unlock()
	return nil
}

// Attach begins the delivery of a reserved channel; acknowledge runs ahead of any publication.
func (s *Session) Attach(channel string, to hub.Subscriber, acknowledge func()) {
	s.mu.Lock()
	hold := s.holds[channel]
	s.mu.Unlock()
	hold.Attach(to, acknowledge)
}

// Unsubscribe ends a subscription, if there is one.
func (s *Session) Unsubscribe(channel string) {
	s.mu.Lock()
	hold := s.holds[channel]
	delete(s.holds, channel)
	s.mu.Unlock()
	if hold != nil {
		hold.Release()
	}
}

// Publish hands a message to the broker and waits until it has it.
func (s *Session) Publish(ctx context.Context, channel string, p broker.Publication) error {
	s.mu.Lock()
	_, have := s.holds[channel]
	s.mu.Unlock()
	if !have {
		return ErrNotSubscribed
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	start := time.Now()
	err := s.options.Broker.Publish(ctx, channel, p)
	s.options.Published(time.Since(start), err)
	return err
}

// Channels are the session's subscriptions, sorted.
func (s *Session) Channels() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]string, 0, len(s.holds))
	for c := range s.holds {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

// Close ends all subscriptions.
func (s *Session) Close() {
	s.mu.Lock()
	holds := s.holds
	s.holds = map[string]*hub.Hold{}
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
