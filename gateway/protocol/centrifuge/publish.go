package centrifuge

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	cf "github.com/centrifugal/protocol"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/session"
)

// publish carries out the publish command. It goes on when the connection ends meanwhile, because the message has
// arrived.
func (c *client) publish(ctx context.Context, r *cf.PublishRequest) (*cf.PublishResult, error) {
	switch {
	case r.Channel == "":
		return nil, errNoChannel
	case r.Type != 0:
		return nil, errNotAvailable
	case len(r.Data) == 0:
		return nil, errNoData
	}
	_, err := c.Session.Publish(context.WithoutCancel(ctx), session.Message{
		Channel: r.Channel, Data: r.Data, Binary: c.encoding.isBinary(r.Data), Protocol: c.Protocol(),
	})
	if err != nil {
		return nil, err
	}
	return &cf.PublishResult{}, nil
}

// methodPublish is the method of a call that the gateway answers itself: a publish that is safe to repeat, for which
// the protocol has no command.
const methodPublish = "wsfleet.publish"

// maxIdempotencyKey is the maximum length of an idempotency key, in bytes.
const maxIdempotencyKey = 128

// publishCall is the data of a call of methodPublish, publishAnswer its result.
type (
	publishCall struct {
		Channel        string          `json:"channel"`
		Data           json.RawMessage `json:"data"`
		IdempotencyKey string          `json:"idempotency_key"`
	}
	publishAnswer struct {
		Offset   uint64 `json:"offset,omitempty"`
		Epoch    string `json:"epoch,omitempty"`
		Repeated bool   `json:"repeated,omitempty"`
	}
)

// publishOnce carries out a call of methodPublish.
func (c *client) publishOnce(ctx context.Context, data []byte) (*cf.RPCResult, error) {
	var call publishCall
	if err := json.Unmarshal(data, &call); err != nil {
		return nil, fmt.Errorf("%w: %s takes a JSON object with channel, data and idempotency_key", errBadRequest,
			methodPublish)
	}
	switch {
	case !utf8.Valid(data):
		return nil, fmt.Errorf("%w: the data is not UTF-8", errBadRequest)
	case len(call.Data) == 0:
		return nil, errNoData
	case call.IdempotencyKey == "" || len(call.IdempotencyKey) > maxIdempotencyKey:
		return nil, fmt.Errorf("%w: idempotency_key must have 1 to %d bytes", errBadRequest, maxIdempotencyKey)
	}
	result, err := c.Session.Publish(context.WithoutCancel(ctx), session.Message{
		Channel: call.Channel, Data: call.Data, IdempotencyKey: call.IdempotencyKey, Protocol: c.Protocol(),
	})
	if err != nil {
		return nil, err
	}
	answer, err := json.Marshal(publishAnswer{Offset: result.Offset, Epoch: result.Epoch, Repeated: result.Repeated})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEncode, err)
	}
	return &cf.RPCResult{Data: answer}, nil
}

// rpc carries out the rpc command: it hands the call to the backend, and goes on when the connection ends meanwhile.
func (c *client) rpc(ctx context.Context, r *cf.RPCRequest) (*cf.RPCResult, error) {
	if r.Method == methodPublish {
		return c.publishOnce(ctx, r.Data)
	}
	answer, err := c.Session.Call(context.WithoutCancel(ctx), c.Protocol(), r.Method,
		hooks.Payload{Bytes: r.Data, Binary: c.encoding.isBinary(r.Data)})
	if err != nil {
		return nil, err
	}
	data, err := c.payload(answer)
	if err != nil {
		return nil, err
	}
	return &cf.RPCResult{Data: data}, nil
}

// send carries out the send command: a call without a method to the backend. It has no reply, so that its errors are
// only counted.
func (c *client) send(ctx context.Context, r *cf.SendRequest) error {
	_, err := c.Session.Call(context.WithoutCancel(ctx), c.Protocol(), "",
		hooks.Payload{Bytes: r.Data, Binary: c.encoding.isBinary(r.Data)})
	if err == nil {
		return nil
	}
	if disconnects(err) {
		return err
	}
	c.centrifuge.options.CommandFailed(replyError(err).Code)
	return nil
}

// history carries out the history command: it reads the stream of a channel.
func (c *client) history(ctx context.Context, r *cf.HistoryRequest) (*cf.HistoryResult, error) {
	if r.Channel == "" {
		return nil, errNoChannel
	}
	q := broker.HistoryQuery{Limit: int(r.Limit), Reverse: r.Reverse}
	if r.Since != nil {
		if r.Reverse && r.Since.Offset == 0 {
			return nil, fmt.Errorf("%w: nothing comes before offset 0", errBadRequest)
		}
		q.Since = &broker.Position{Offset: r.Since.Offset, Epoch: r.Since.Epoch}
	}
	stream, err := c.Session.History(ctx, r.Channel, q)
	if err != nil {
		return nil, err
	}
	result := &cf.HistoryResult{Offset: stream.Top.Offset, Epoch: stream.Top.Epoch}
	result.Publications, err = c.encoding.publications(stream.Publications)
	return result, err
}

// presence carries out the presence command: it returns the members of a channel.
func (c *client) presence(ctx context.Context, r *cf.PresenceRequest) (*cf.PresenceResult, error) {
	if r.Channel == "" {
		return nil, errNoChannel
	}
	members, err := c.Session.Members(ctx, r.Channel)
	if err != nil {
		return nil, err
	}
	result := &cf.PresenceResult{Presence: make(map[string]*cf.ClientInfo, len(members))}
	for id, info := range members {
		result.Presence[id] = c.encoding.info(&info)
	}
	return result, nil
}

// presenceStats carries out the presence_stats command: it counts the members of a channel.
func (c *client) presenceStats(ctx context.Context, r *cf.PresenceStatsRequest) (*cf.PresenceStatsResult, error) {
	if r.Channel == "" {
		return nil, errNoChannel
	}
	clients, users, err := c.Session.PresenceStats(ctx, r.Channel)
	if err != nil {
		return nil, err
	}
	return &cf.PresenceStatsResult{
		NumClients: uint32(clients),
		NumUsers:   uint32(users),
	}, nil
}
