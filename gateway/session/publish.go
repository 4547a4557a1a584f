package session

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// mostHistory is how many publications a client gets at once.
const mostHistory = 1000

// Message is what a client wants to publish.
type Message struct {
	Channel string
	Data    []byte
	Binary  bool
	// IdempotencyKey makes it safe to send it again.
	IdempotencyKey string
	// Protocol is the client's, for the backend.
	Protocol string
}

// Publish hands a message to the broker and waits until it has it.
func (s *Session) Publish(ctx context.Context, m Message) (broker.PublishResult, error) {
	if err := CheckChannel(m.Channel); err != nil {
		return broker.PublishResult{}, err
	}
	hold, t := s.held(m.Channel)
	who, rule := s.claims(), s.Rule(m.Channel)
	if err := mayPublish(rule, who, m.Channel, hold != nil, t); err != nil {
		return broker.PublishResult{}, err
	}
	p := broker.Publication{Data: m.Data, Binary: m.Binary}
	o := broker.PublishOptions{History: rule.History, IdempotencyKey: m.IdempotencyKey}
	if m.IdempotencyKey != "" {
		// What the client says is what it repeats, whatever the backend makes of it each time.
		o.Fingerprint = broker.FingerprintOf(p)
	}
	if who != nil {
		p.Info = new(s.Info(m.Channel))
	}
	if s.options.Hooks.HasPublish() {
		r, err := s.options.Hooks.Publish(ctx, hooks.PublishRequest{
			Client: s.asked(m.Protocol), Channel: m.Channel, Data: hooks.Payload{Bytes: m.Data, Binary: m.Binary},
		})
		if err != nil {
			return broker.PublishResult{}, err
		}
		if len(r.Data.Bytes) > 0 {
			p.Data, p.Binary = r.Data.Bytes, r.Data.Binary
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	start := time.Now()
	result, err := s.options.Broker.Publish(ctx, m.Channel, p, o)
	s.options.Published(time.Since(start), err)
	return result, err
}

// History reads a channel's stream for the client: as much as a page holds. It must not be changed.
func (s *Session) History(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	rule, err := s.readable(name, auth.History)
	switch {
	case err != nil:
		return broker.Stream{}, err
	case rule.History.Size == 0:
		return broker.Stream{}, ErrNotAvailable
	case q.Limit > mostHistory:
		return broker.Stream{}, ErrLimit
	case q.Limit < 0:
		q.Limit = mostHistory
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	stream, err := s.options.readHistory(ctx, name, q)
	if err == nil && q.Since != nil && q.Since.Epoch != stream.Top.Epoch {
		return broker.Stream{}, ErrUnrecoverable
	}
	return stream, err
}

// Members are who is present in a channel. They must not be changed.
func (s *Session) Members(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	if err := s.present(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	return s.options.readMembers(ctx, name)
}

// PresenceStats counts them.
func (s *Session) PresenceStats(ctx context.Context, name string) (clients, users int, err error) {
	if err := s.present(name); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	return s.options.Broker.PresenceStats(ctx, name)
}

func (s *Session) present(name string) error {
	rule, err := s.readable(name, auth.Presence)
	if err == nil && !rule.Presence {
		err = ErrNotAvailable
	}
	return err
}

func (s *Session) readable(name string, p auth.Permission) (channel.Rule, error) {
	if err := CheckChannel(name); err != nil {
		return channel.Rule{}, err
	}
	hold, t := s.held(name)
	return s.Rule(name), mayRead(p, s.claims(), name, hold != nil, t)
}

// Call hands a client's call to the backend.
func (s *Session) Call(ctx context.Context, protocol, method string, data hooks.Payload) (hooks.Payload, error) {
	if !s.options.Hooks.HasRPC() {
		return hooks.Payload{}, ErrNoBackend
	}
	r, err := s.options.Hooks.RPC(ctx, hooks.RPCRequest{Client: s.asked(protocol), Method: method, Data: data})
	if err != nil {
		return hooks.Payload{}, err
	}
	return r.Data, nil
}
