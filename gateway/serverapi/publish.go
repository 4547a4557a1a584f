package serverapi

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// message has the fields that publish and broadcast have in common.
type message struct {
	payload
	Tags           map[string]string `json:"tags"`
	IdempotencyKey string            `json:"idempotency_key"`
	SkipHistory    bool              `json:"skip_history"`
	// Version would drop publications of older versions. It is refused.
	Version uint64 `json:"version"`
}

// publishRequest is the request of publish.
type publishRequest struct {
	Channel string `json:"channel"`
	message
}

// broadcastRequest is the request of broadcast.
type broadcastRequest struct {
	Channels []string `json:"channels"`
	message
}

// publishResult is the result of publish. It has no position in a channel without history.
type publishResult struct {
	Offset   uint64 `json:"offset,omitempty"`
	Epoch    string `json:"epoch,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
}

// publishResponse is the outcome of a broadcast in one channel.
type publishResponse struct {
	Error  *apiError `json:"error,omitempty"`
	Result any       `json:"result,omitempty"`
}

// broadcastResult has the outcomes in the order of the channels.
type broadcastResult struct {
	Responses []publishResponse `json:"responses"`
}

// publish publishes a message to a channel. It returns an *apiError or the Fleet's error.
func (a *API) publish(ctx context.Context, r *publishRequest) (any, error) {
	p, o, err := a.readMessage(&r.message)
	if err != nil {
		return nil, err
	}
	return a.publishTo(ctx, r.Channel, p, o)
}

// broadcast publishes a message to many channels. A channel that fails does not prevent the others. It returns an
// *apiError.
func (a *API) broadcast(ctx context.Context, r *broadcastRequest) (any, error) {
	switch n := len(r.Channels); {
	case n == 0:
		return nil, invalidField("channels", "is missing")
	case n > MaxBroadcastChannels:
		return nil, limitExceeded("channels", "%d are more than %d", n, MaxBroadcastChannels)
	}
	p, o, err := a.readMessage(&r.message)
	if err != nil {
		return nil, err
	}
	responses := make([]publishResponse, len(r.Channels))
	parallel(len(responses), func(i int) {
		result, f := a.guard(methodBroadcast, func() (any, error) { return a.publishTo(ctx, r.Channels[i], p, o) })
		responses[i] = publishResponse{Error: f, Result: result}
	})
	return broadcastResult{Responses: responses}, nil
}

// publishTo publishes to one channel. It returns an *apiError, the Fleet's error, or ctx.Err() when ctx has ended.
func (a *API) publishTo(ctx context.Context, channel string, p broker.Publication, o PublishOptions) (any, error) {
	if err := a.checkChannel(channel); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	result, err := a.options.Fleet.Publish(ctx, channel, p, o)
	if err != nil {
		return nil, err
	}
	return publishResult{Offset: result.Offset, Epoch: result.Epoch, Repeated: result.Repeated}, nil
}

// readMessage checks a message. It returns an *apiError.
func (a *API) readMessage(m *message) (broker.Publication, PublishOptions, error) {
	data, binary, err := m.message(a.options.MaxMessageBytes)
	if err == nil {
		err = m.check()
	}
	if err != nil {
		return broker.Publication{}, PublishOptions{}, err
	}
	return broker.Publication{
		Data:   data,
		Binary: binary,
		Tags:   m.Tags,
	}, PublishOptions{IdempotencyKey: m.IdempotencyKey, SkipHistory: m.SkipHistory}, nil
}

// check returns an *apiError for fields other than the payload.
func (m *message) check() error {
	switch {
	case m.Version != 0:
		return notSupported("version", "is not supported: publications are not compared by version")
	case len(m.IdempotencyKey) > MaxIdempotencyKeyBytes:
		return limitExceeded("idempotency_key", "%d bytes are more than %d", len(m.IdempotencyKey), MaxIdempotencyKeyBytes)
	case len(m.Tags) > MaxTags:
		return limitExceeded("tags", "%d are more than %d", len(m.Tags), MaxTags)
	}
	for key, value := range m.Tags {
		switch {
		case key == "":
			return invalidField("tags", "a key is empty")
		case len(key) > MaxTagKeyBytes:
			return limitExceeded("tags", "a key of %d bytes is longer than %d", len(key), MaxTagKeyBytes)
		case len(value) > MaxTagValueBytes:
			return limitExceeded("tags", "a value of %d bytes is longer than %d", len(value), MaxTagValueBytes)
		}
	}
	return nil
}

// checkChannel returns an *apiError for a name that no channel can have.
func (a *API) checkChannel(name string) error {
	if err := a.options.CheckChannel(name); err != nil {
		return invalidField("channel", "%v", err)
	}
	return nil
}

// parallel calls do for 0 to n-1, up to maxConcurrent at the same time, and returns when all have returned.
func parallel(n int, do func(i int)) {
	var g errgroup.Group
	g.SetLimit(maxConcurrent)
	for i := range n {
		g.Go(func() error {
			do(i)
			return nil
		})
	}
	// The functions return no error.
	_ = g.Wait()
}
