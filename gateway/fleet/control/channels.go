package control

import (
	"context"
	"fmt"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Publish implements serverapi.Backend.
func (b *Backend) Publish(ctx context.Context, name string, p broker.Publication, o serverapi.PublishOptions) (broker.PublishResult, error) {
	options := broker.PublishOptions{History: b.options.Hub.Rule(name).History, IdempotencyKey: o.IdempotencyKey}
	if o.SkipHistory {
		options.History = channel.History{}
	}
	start := time.Now()
	result, err := b.options.Broker.Publish(ctx, name, p, options)
	b.options.Published(time.Since(start), err)
	return result, err
}

// History implements serverapi.Backend.
func (b *Backend) History(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	rule := b.options.Hub.Rule(name)
	if rule.History.Size == 0 {
		return broker.Stream{}, fmt.Errorf("%w: the channel's rule has no history", serverapi.ErrNotAvailable)
	}
	stream, err := b.options.Broker.History(ctx, name, q)
	if err == nil && q.Since != nil && q.Since.Epoch != stream.Top.Epoch {
		return broker.Stream{}, serverapi.ErrUnrecoverable
	}
	return stream, err
}

// RemoveHistory implements serverapi.Backend.
func (b *Backend) RemoveHistory(ctx context.Context, name string) error {
	if b.options.Hub.Rule(name).History.Size == 0 {
		return fmt.Errorf("%w: the channel's rule has no history", serverapi.ErrNotAvailable)
	}
	return b.options.Broker.RemoveHistory(ctx, name)
}

// Presence implements serverapi.Backend.
func (b *Backend) Presence(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	if err := b.present(name); err != nil {
		return nil, err
	}
	return b.options.Broker.Members(ctx, name, 0)
}

// PresenceStats implements serverapi.Backend.
func (b *Backend) PresenceStats(ctx context.Context, name string) (clients, users int, err error) {
	if err := b.present(name); err != nil {
		return 0, 0, err
	}
	return b.options.Broker.PresenceStats(ctx, name)
}

func (b *Backend) present(name string) error {
	if !b.options.Hub.Rule(name).Presence {
		return fmt.Errorf("%w: the channel's rule has no presence", serverapi.ErrNotAvailable)
	}
	return nil
}

const questionChannels = "channels"

// channelsQuestion asks a gateway for its channels that match a pattern; empty is all.
type channelsQuestion struct {
	Pattern string `json:"pattern"`
}

// Channels implements serverapi.Backend.
func (b *Backend) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	everybody, err := b.everybody(ctx)
	if err != nil {
		return nil, err
	}
	answers, silent, err := ask[map[string]int](ctx, b, everybody, questionChannels, channelsQuestion{pattern})
	if err != nil {
		return nil, err
	}
	if silent {
		return nil, fmt.Errorf("%w: %w", broker.ErrUnavailable, errSilent)
	}
	sum := map[string]int{}
	for _, channels := range answers {
		for name, subscribers := range channels {
			sum[name] += subscribers
		}
	}
	return sum, nil
}

func (b *Backend) channelsHere(_ context.Context, q channelsQuestion) (map[string]int, error) {
	out := map[string]int{}
	b.options.Hub.CountSubscribers(func(name string, members int) {
		if q.Pattern == "" || channel.Matches(q.Pattern, name) {
			out[name] = members
		}
	})
	return out, nil
}
