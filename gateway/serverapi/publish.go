package serverapi

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// message is what publish and broadcast have in common.
type message struct {
	content
	Tags           map[string]string `json:"tags"`
	IdempotencyKey string            `json:"idempotency_key"`
	SkipHistory    bool              `json:"skip_history"`
	// Version would keep older versions back.
	Version uint64 `json:"version"`
}

type publishRequest struct {
	Channel string `json:"channel"`
	message
}

type broadcastRequest struct {
	Channels []string `json:"channels"`
	message
}

// publishResult has no position in a channel without history.
type publishResult struct {
	Offset   uint64 `json:"offset,omitempty"`
	Epoch    string `json:"epoch,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
}

// publishResponse is one channel's part of a broadcast.
type publishResponse struct {
	Error  *fault `json:"error,omitempty"`
	Result any    `json:"result,omitempty"`
}

type broadcastResult struct {
	Responses []publishResponse `json:"responses"`
}

// publish sends a message into a channel.
func (a *API) publish(ctx context.Context, r *publishRequest) (any, error) {
	p, o, err := a.publication(&r.message)
	if err != nil {
		return nil, err
	}
	return a.publishTo(ctx, r.Channel, p, o)
}

// broadcast sends a message into many channels. One that fails does not keep the others from it.
func (a *API) broadcast(ctx context.Context, r *broadcastRequest) (any, error) {
	switch n := len(r.Channels); {
	case n == 0:
		return nil, wrong("channels", "is missing")
	case n > MaxBroadcastChannels:
		return nil, tooMuch("channels", "%d are more than %d", n, MaxBroadcastChannels)
	}
	p, o, err := a.publication(&r.message)
	if err != nil {
		return nil, err
	}
	responses := make([]publishResponse, len(r.Channels))
	inParallel(len(responses), func(i int) {
		result, f := a.attempt(methodBroadcast, func() (any, error) { return a.publishTo(ctx, r.Channels[i], p, o) })
		responses[i] = publishResponse{Error: f, Result: result}
	})
	return broadcastResult{Responses: responses}, nil
}

// publishTo is publish for one channel.
func (a *API) publishTo(ctx context.Context, channel string, p broker.Publication, o PublishOptions) (any, error) {
	if err := a.checkChannel(channel); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	done, err := a.options.Fleet.Publish(ctx, channel, p, o)
	if err != nil {
		return nil, err
	}
	return publishResult{Offset: done.Offset, Epoch: done.Epoch, Repeated: done.Repeated}, nil
}

// publication checks all of a message.
func (a *API) publication(m *message) (broker.Publication, PublishOptions, error) {
	data, binary, err := m.message(a.options.MaxMessageBytes)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return broker.Publication{}, PublishOptions{}, err
	}
	return broker.Publication{Data: data, Binary: binary, Tags: m.Tags}, PublishOptions{IdempotencyKey: m.IdempotencyKey, SkipHistory: m.SkipHistory}, nil
}

// check looks at all but the content.
func (m *message) check() error {
	switch {
	case m.Version != 0:
		return unavailable("version", "is not supported: publications are not compared by version")
	case len(m.IdempotencyKey) > MaxIdempotencyKeyBytes:
		return tooMuch("idempotency_key", "%d bytes are more than %d", len(m.IdempotencyKey), MaxIdempotencyKeyBytes)
	case len(m.Tags) > MaxTags:
		return tooMuch("tags", "%d are more than %d", len(m.Tags), MaxTags)
	}
	for key, value := range m.Tags {
		switch {
		case key == "":
			return wrong("tags", "a key is empty")
		case len(key) > MaxTagKeyBytes:
			return tooMuch("tags", "a key of %d bytes is longer than %d", len(key), MaxTagKeyBytes)
		case len(value) > MaxTagValueBytes:
			return tooMuch("tags", "a value of %d bytes is longer than %d", len(value), MaxTagValueBytes)
		}
	}
	return nil
}

func (a *API) checkChannel(name string) error {
	if err := a.options.CheckChannel(name); err != nil {
		return wrong("channel", "%v", err)
	}
	return nil
}

// inParallel does n things, some of them at once, and returns when all are done.
func inParallel(n int, do func(i int)) {
	var g errgroup.Group
	g.SetLimit(workers)
	for i := range n {
		g.Go(func() error {
			do(i)
			return nil
		})
	}
	// None of them fails.
	_ = g.Wait()
}
