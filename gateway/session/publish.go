package session

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// maxHistoryLimit is the maximum number of publications in one answer.
const maxHistoryLimit = 1000

// Message is what a client publishes.
type Message struct {
	Channel string
	Data    []byte
	Binary  bool
	// IdempotencyKey makes it safe to send the message again; empty means none.
	IdempotencyKey string
	// Protocol is the name of the client's protocol, for the publish hook.
	Protocol string
}

// Publish publishes a message and returns when the broker has it. It returns ErrChannelName, ErrNotAllowed,
// ErrNotSubscribed, the publish hook's hooks.ErrDown, *hooks.Error or *hooks.Disconnect, broker.ErrIdempotencyConflict,
// or an error that wraps broker.ErrUnavailable, after which the message may have been published.
func (s *Session) Publish(ctx context.Context, m Message) (broker.PublishResult, error) {
	if err := CheckChannel(m.Channel); err != nil {
		return broker.PublishResult{}, err
	}
	hubSub, g := s.subscriptionTo(m.Channel)
	client, rule := s.identity(), s.Rule(m.Channel)
	if err := mayPublish(rule, client, m.Channel, hubSub != nil, g); err != nil {
		return broker.PublishResult{}, err
	}
	p := broker.Publication{Data: m.Data, Binary: m.Binary}
	o := broker.PublishOptions{History: rule.History, IdempotencyKey: m.IdempotencyKey}
	if m.IdempotencyKey != "" {
		// Of the client's data, which is what the client repeats: the hook may replace it with something else each time.
		o.Fingerprint = broker.FingerprintOf(p)
	}
	p.Info = new(s.PublisherInfo(m.Channel))
	if err := s.askPublishHook(ctx, m, &p, &o); err != nil {
		return broker.PublishResult{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	start := time.Now()
	result, err := s.options.Broker.Publish(ctx, m.Channel, p, o)
	s.options.Published(time.Since(start), err)
	return result, err
}

// askPublishHook asks the backend about a message, where there is a publish hook, and applies its answer to p and o.
func (s *Session) askPublishHook(
	ctx context.Context, m Message, p *broker.Publication, o *broker.PublishOptions,
) error {
	if !s.options.Hooks.HasPublish() {
		return nil
	}
	answer, err := s.options.Hooks.Publish(ctx, hooks.PublishRequest{
		Client: s.hookClient(m.Protocol), Channel: m.Channel, Data: hooks.Payload{Bytes: m.Data, Binary: m.Binary},
	})
	if err != nil {
		return err
	}
	if len(answer.Data.Bytes) > 0 {
		p.Data, p.Binary = answer.Data.Bytes, answer.Data.Binary
	}
	if answer.SkipHistory {
		o.History = channel.History{}
	}
	return nil
}

// History reads a channel's stream: at most maxHistoryLimit publications and Options.MaxHistoryBytes. The result must
// not be changed. It returns ErrChannelName, ErrNotSubscribed, ErrNotAvailable, ErrLimit, broker.ErrUnrecoverable, or
// an error that wraps broker.ErrUnavailable.
func (s *Session) History(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	rule, err := s.readableRule(name, auth.History)
	switch {
	case err != nil:
		return broker.Stream{}, err
	case rule.History.Size == 0:
		return broker.Stream{}, ErrNotAvailable
	case q.Limit > maxHistoryLimit:
		return broker.Stream{}, ErrLimit
	case q.Limit < 0:
		q.Limit = maxHistoryLimit
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	stream, err := s.options.readHistory(ctx, name, q)
	if err == nil && q.Since != nil && !q.Since.InEpoch(stream.Top.Epoch) {
		return broker.Stream{}, broker.ErrUnrecoverable
	}
	return stream, err
}

// Members returns the presence of a channel by client ID. The map must not be changed. It returns ErrChannelName,
// ErrNotSubscribed, ErrNotAvailable, ErrTooManyMembers, or an error that wraps broker.ErrUnavailable.
func (s *Session) Members(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	if err := s.mayReadPresence(name); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	return s.options.readMembers(ctx, name)
}

// PresenceStats counts the clients and the users in the presence of a channel. It returns ErrChannelName,
// ErrNotSubscribed, ErrNotAvailable, or an error that wraps broker.ErrUnavailable.
func (s *Session) PresenceStats(ctx context.Context, name string) (clients, users int, err error) {
	if err := s.mayReadPresence(name); err != nil {
		return 0, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.Timeout)
	defer cancel()
	return s.options.Broker.PresenceStats(ctx, name)
}

// mayReadPresence returns nil when the client may read the presence of a channel that has some.
func (s *Session) mayReadPresence(name string) error {
	rule, err := s.readableRule(name, auth.Presence)
	if err == nil && !rule.Presence {
		err = ErrNotAvailable
	}
	return err
}

// readableRule returns the rule of a channel whose history or presence, as p says, the client may read.
func (s *Session) readableRule(name string, p auth.Permission) (channel.Rule, error) {
	if err := CheckChannel(name); err != nil {
		return channel.Rule{}, err
	}
	hubSub, g := s.subscriptionTo(name)
	rule := s.Rule(name)
	return rule, s.options.mayRead(rule, p, s.identity(), name, hubSub != nil, g)
}

// Call hands a client's call to the rpc hook and returns the answer. It returns ErrNoBackend without a hook, and
// otherwise the hook's hooks.ErrDown, *hooks.Error or *hooks.Disconnect.
func (s *Session) Call(ctx context.Context, protocol, method string, data hooks.Payload) (hooks.Payload, error) {
	if !s.options.Hooks.HasRPC() {
		return hooks.Payload{}, ErrNoBackend
	}
	answer, err := s.options.Hooks.RPC(ctx, hooks.RPCRequest{
		Client: s.hookClient(protocol), Method: method, Data: data,
	})
	if err != nil {
		return hooks.Payload{}, err
	}
	return answer.Data, nil
}
