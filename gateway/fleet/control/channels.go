package control

import (
	"context"
	"fmt"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/internal/channel"
)

// Publish implements serverapi.Fleet. It returns the broker's error: broker.ErrUnavailable or
// broker.ErrIdempotencyConflict.
func (d *Dispatcher) Publish(
	ctx context.Context, name string, p broker.Publication, o serverapi.PublishOptions,
) (broker.PublishResult, error) {
	options := broker.PublishOptions{History: d.options.Hub.Rule(name).History, IdempotencyKey: o.IdempotencyKey}
	if o.SkipHistory {
		options.History = channel.History{}
	}
	start := time.Now()
	result, err := d.options.Broker.Publish(ctx, name, p, options)
	d.options.Published(time.Since(start), err)
	return result, err
}

// History implements serverapi.Fleet. It returns serverapi.ErrNotAvailable for a channel without history,
// broker.ErrUnrecoverable when q.Since is of another epoch, and the broker's error.
func (d *Dispatcher) History(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	if err := d.requireHistory(name); err != nil {
		return broker.Stream{}, err
	}
	stream, err := d.options.Broker.History(ctx, name, q)
	if err == nil && q.Since != nil && !q.Since.InEpoch(stream.Top.Epoch) {
		return broker.Stream{}, broker.ErrUnrecoverable
	}
	return stream, err
}

// RemoveHistory implements serverapi.Fleet. It returns serverapi.ErrNotAvailable for a channel without history, and the
// broker's error.
func (d *Dispatcher) RemoveHistory(ctx context.Context, name string) error {
	if err := d.requireHistory(name); err != nil {
		return err
	}
	return d.options.Broker.RemoveHistory(ctx, name)
}

// requireHistory returns an error that wraps serverapi.ErrNotAvailable when the channel's rule has no history.
func (d *Dispatcher) requireHistory(name string) error {
	if d.options.Hub.Rule(name).History.Size == 0 {
		return fmt.Errorf("%w: the channel's rule has no history", serverapi.ErrNotAvailable)
	}
	return nil
}

// Presence implements serverapi.Fleet. It returns serverapi.ErrNotAvailable for a channel without presence, and the
// broker's error.
func (d *Dispatcher) Presence(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	if err := d.requirePresence(name); err != nil {
		return nil, err
	}
	return d.options.Broker.Members(ctx, name, 0)
}

// PresenceStats implements serverapi.Fleet. It returns serverapi.ErrNotAvailable for a channel without presence, and
// the broker's error.
func (d *Dispatcher) PresenceStats(ctx context.Context, name string) (clients, users int, err error) {
	if err := d.requirePresence(name); err != nil {
		return 0, 0, err
	}
	return d.options.Broker.PresenceStats(ctx, name)
}

// requirePresence returns an error that wraps serverapi.ErrNotAvailable when the channel's rule has no presence.
func (d *Dispatcher) requirePresence(name string) error {
	if !d.options.Hub.Rule(name).Presence {
		return fmt.Errorf("%w: the channel's rule has no presence", serverapi.ErrNotAvailable)
	}
	return nil
}

// methodChannels returns the channels that have subscribers on a gateway, with the number of these.
const methodChannels = "channels"

// channelsParams are the params of methodChannels. Gateways of other versions read the JSON.
type channelsParams struct {
	// Pattern selects channels by name. An empty pattern selects all.
	Pattern string `json:"pattern"`
}

// Channels implements serverapi.Fleet. It returns an error that wraps broker.ErrUnavailable when a gateway did not
// answer.
func (d *Dispatcher) Channels(ctx context.Context, pattern string) (map[string]int, error) {
	gatewayIDs, err := d.allGateways(ctx)
	if err != nil {
		return nil, err
	}
	results, err := callAll[map[string]int](ctx, d, gatewayIDs, methodChannels, channelsParams{pattern})
	if err != nil {
		return nil, err
	}
	sum := map[string]int{}
	for _, channels := range results {
		for name, subscribers := range channels {
			sum[name] += subscribers
		}
	}
	return sum, nil
}

// localChannels executes methodChannels. Its error is always nil.
func (d *Dispatcher) localChannels(_ context.Context, p channelsParams) (map[string]int, error) {
	out := map[string]int{}
	d.options.Hub.CountSubscribers(func(name string, subscribers int) {
		if p.Pattern == "" || channel.Matches(p.Pattern, name) {
			out[name] = subscribers
		}
	})
	return out, nil
}
