package redis

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Publications that come at the same time share a round trip. A few round trips are under way at
// once, so that a slow one does not hold up all.
const (
	publishers       = 4
	largestRoundTrip = 256
)

// request is one publication on its way to Redis.
type request struct {
	ctx     context.Context
	key     string
	payload []byte
	// done gets the outcome; it has room for it, whoever still waits.
	done chan error
}

// publish returns when Redis has taken the message, or when the time for it is over: whoever
// publishes is not held up by a Redis that hangs.
func (b *Broker) publish(ctx context.Context, key string, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	r := &request{ctx: ctx, key: key, payload: payload, done: make(chan error, 1)}
	var err error
	select {
	case b.requests <- r:
		select {
		case err = <-r.done:
		case <-ctx.Done():
			err = ctx.Err()
		}
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%w: redis: publish: %w", broker.ErrUnavailable, err)
	}
	return nil
}

// publishing is one goroutine that makes round trips.
func (b *Broker) publishing(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-b.requests:
			b.roundTrip(ctx, b.gather(first))
		}
	}
}

// gather takes what else waits already. Nothing is waited for.
func (b *Broker) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < largestRoundTrip {
		select {
		case r := <-b.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// roundTrip sends a batch and hands the outcomes out. What its sender has given up is not sent.
func (b *Broker) roundTrip(ctx context.Context, batch []*request) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	pipe := b.client.Pipeline()
	sent := make(map[*request]*redis.IntCmd, len(batch))
	for _, r := range batch {
		switch {
		case r.ctx.Err() != nil:
		case b.names.sharded:
			sent[r] = pipe.SPublish(ctx, r.key, r.payload)
		default:
			sent[r] = pipe.Publish(ctx, r.key, r.payload)
		}
	}
	_, failed := pipe.Exec(ctx)
	for _, cmd := range sent {
		if cmd.Err() != nil {
			// Then each command knows its own outcome.
			failed = nil
		}
	}
	for r, cmd := range sent {
		// Without a connection the library fails the round trip, but none of its commands.
		r.done <- errors.Join(failed, cmd.Err())
	}
}
