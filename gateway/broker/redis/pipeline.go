package redis

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// Commands that are sent at the same time share a round trip. roundTrips of them run at once, so that a slow one does
// not delay all others. maxRoundTrip is the maximum number of commands of one.
const (
	roundTrips   = 4
	maxRoundTrip = 256
)

// pipeline sends commands to Redis in batches.
type pipeline struct {
	client redis.UniversalClient
	// loss is set while Redis is known to be out of reach.
	loss     *loss
	requests chan *request
}

// request is one command on its way to Redis. Its sender reads the reply from cmd after done, and must not read cmd
// after its context has ended.
type request struct {
	ctx context.Context
	cmd redis.Cmder
	// done gets the outcome. It has room for it, so that a sender that has given up blocks nothing.
	done chan error
}

// once is a command that the client library must not send again after an error that leaves open whether Redis has run
// it. The library still repeats a command that Redis has refused to run, as when a slot has moved.
type once struct{ redis.Cmder }

// NoRetry reports true to the library.
func (once) NoRetry() bool { return true }

func newPipeline(client redis.UniversalClient, lost *loss) *pipeline {
	return &pipeline{client: client, loss: lost, requests: make(chan *request)}
}

// errLost ends a command that waits for Redis while Redis is known to be out of reach.
var errLost = errors.New("redis is out of reach")

// lostTimeout is how long a command waits for Redis while Redis is known to be out of reach: another connection may
// work.
const lostTimeout = 150 * time.Millisecond

// send returns when Redis has answered, with the error of the command or the connection, or when the context ends. It
// returns errLost when lostTimeout has passed since Redis was lost or the command was sent.
func (p *pipeline) send(ctx context.Context, cmd redis.Cmder) error {
	return p.await(ctx, &request{ctx: ctx, cmd: cmd, done: make(chan error, 1)}, p.loss.c())
}

// sendPatiently is send without lostTimeout.
func (p *pipeline) sendPatiently(ctx context.Context, cmd redis.Cmder) error {
	return p.await(ctx, &request{ctx: ctx, cmd: cmd, done: make(chan error, 1)}, nil)
}

// await hands a request over and returns its outcome. lost is closed when Redis is lost.
func (p *pipeline) await(ctx context.Context, r *request, lost <-chan struct{}) error {
	requests := p.requests
	var timeout <-chan time.Time
	for {
		select {
		case requests <- r:
			requests = nil
		case err := <-r.done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-lost:
			lost = nil
			timer := time.NewTimer(lostTimeout)
			defer timer.Stop()
			timeout = timer.C
		case <-timeout:
			return errLost
		}
	}
}

// run makes one round trip after the other until the context ends.
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

// gather returns first and the requests that wait already. It does not block.
func (p *pipeline) gather(first *request) []*request {
	batch := []*request{first}
	for len(batch) < maxRoundTrip {
		select {
		case r := <-p.requests:
			batch = append(batch, r)
		default:
			return batch
		}
	}
	return batch
}

// roundTrip sends a batch and distributes the outcomes. It skips requests whose context has ended.
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
			// The round trip took place: each command has its own outcome.
			failed = nil
		}
	}
	for _, r := range sent {
		// Without a connection the library returns an error for the round trip and none for its commands.
		r.done <- errors.Join(failed, r.cmd.Err())
	}
}
