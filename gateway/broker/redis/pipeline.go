package redis

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"
)

// Commands that come at the same time share a round trip. A few round trips are under way at once, so
// that a slow one does not hold up all.
const (
	roundTrips       = 4
	largestRoundTrip = 256
)

// pipeline takes commands to Redis.
type pipeline struct {
	client   redis.UniversalClient
	requests chan *request
}

// request is one command on its way to Redis. Its sender reads the command's reply when it is done,
// and does not look at it any more once it has given up.
type request struct {
	ctx context.Context
	cmd redis.Cmder
	// done gets the outcome; it has room for it, whoever still waits.
	done chan error
}

// once is a command that the library must not send again by itself: nobody knows whether it was run.
// Where Redis has said that it was not, as when a slot has moved, the library does.
type once struct{ redis.Cmder }

// NoRetry overrides the library's answer.
func (once) NoRetry() bool { return true }

func newPipeline(client redis.UniversalClient) *pipeline {
	return &pipeline{client: client, requests: make(chan *request)}
}

// send returns when Redis has answered, or when the context ends.
func (p *pipeline) send(ctx context.Context, cmd redis.Cmder) error {
	r := &request{ctx: ctx, cmd: cmd, done: make(chan error, 1)}
	select {
	case p.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is one goroutine that makes round trips.
func (p *pipeline) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case first := <-p.requests:
			p.roundTrip(ctx, p.gather(first))
		}
	}
}

// gather takes what else waits already. Nothing is waited for.
func (p *pipeline) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < largestRoundTrip {
		select {
		case r := <-p.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// roundTrip sends a batch and hands the outcomes out. What its sender has given up is not sent.
func (p *pipeline) roundTrip(ctx context.Context, batch []*request) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	pipe := p.client.Pipeline()
	sent := batch[:0]
	for _, r := range batch {
		if r.ctx.Err() == nil {
			sent = append(sent, r)
			_ = pipe.Process(ctx, once{r.cmd})
		}
	}
	_, failed := pipe.Exec(ctx)
	for _, r := range sent {
		if r.cmd.Err() != nil {
			// Then each command knows its own outcome.
			failed = nil
		}
	}
	for _, r := range sent {
		// Without a connection the library fails the round trip, but none of its commands.
		r.done <- errors.Join(failed, r.cmd.Err())
	}
}
