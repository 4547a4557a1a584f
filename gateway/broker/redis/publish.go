package redis

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Publish implements broker.Publisher. It returns broker.ErrUnavailable or broker.ErrIdempotencyConflict.
func (b *Broker) Publish(ctx context.Context, channel string, p broker.Publication,
	o broker.PublishOptions) (broker.PublishResult, error) {
	key, _ := b.names.channel(channel)
	if o.History.Size > 0 || o.IdempotencyKey != "" {
		return b.publishOnce(ctx, channel, key, p, o)
	}
	_, err := b.publish(ctx, key, broker.Encode(p))
	return broker.PublishResult{}, err
}

// publish returns when Redis has taken the message, with the number of connections that it sent the message to, or
// broker.ErrUnavailable after operationTimeout.
func (b *Broker) publish(ctx context.Context, key string, payload []byte) (reached int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	cmd := redis.NewIntCmd(ctx, b.publishCommand(), key, payload)
	if err := b.publications.send(ctx, cmd); err != nil {
		return 0, unavailable("publish", err)
	}
	return cmd.Val(), nil
}

func (b *Broker) publishCommand() string {
	if b.names.sharded {
		return "spublish"
	}
	return "publish"
}

// publishOnce publishes by a script, which appends to the stream and keeps the result of the idempotency key.
func (b *Broker) publishOnce(ctx context.Context, channel, key string, p broker.Publication,
	o broker.PublishOptions) (broker.PublishResult, error) {
	var keys []string
	if o.History.Size > 0 {
		stream, position := b.names.stream(channel)
		keys = append(keys, stream, position)
	}
	var fingerprint string
	if o.IdempotencyKey != "" {
		keys = append(keys, b.names.idempotency(channel, o.IdempotencyKey))
		f := o.KeyFingerprint(p)
		fingerprint = string(f[:])
	}
	reply, err := b.call(ctx, b.publications, "publish", b.scripts.publish, keys, b.publishCommand(), key,
		broker.Encode(p), o.History.Size, time.Duration(o.History.TTL).Milliseconds(),
		broker.PositionTTL(o.History).Milliseconds(), broker.NewEpoch(), fingerprint, broker.IdempotencyTTL.Milliseconds())
	if err != nil {
		return broker.PublishResult{}, err
	}
	return published(reply, fingerprint)
}

// published decodes the reply of scripts/publish.lua.
func published(reply any, fingerprint string) (broker.PublishResult, error) {
	answer, err := list(reply, 4)
	if err != nil {
		return broker.PublishResult{}, err
	}
	repeated := number(answer[0]) == 1
	if repeated && text(answer[1]) != fingerprint {
		return broker.PublishResult{}, broker.ErrIdempotencyConflict
	}
	position, err := positionOf(answer[2], answer[3])
	return broker.PublishResult{Position: position, Repeated: repeated}, err
}

func positionOf(offset, epoch any) (broker.Position, error) {
	n, err := strconv.ParseUint(text(offset), 10, 64)
	if err != nil {
		return broker.Position{}, fmt.Errorf("redis: offset of a stream: %w", err)
	}
	return broker.Position{Offset: n, Epoch: text(epoch)}, nil
}
