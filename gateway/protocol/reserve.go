package protocol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// MaxParallelHooks is the maximum number of subscribe hooks that one handshake has open at the same time.
const MaxParallelHooks = 8

// ReserveAll reserves the channels of a handshake, before the connection exists, so that whatever is published after
// the handshake's answer reaches the client. AttachAll begins their delivery. It returns session.ErrTooManyChannels,
// recovery.ErrPanic, or the error of the first channel in the list that has one: those of session.Session.Reserve.
func (b *Base) ReserveAll(ctx context.Context, requests []session.SubscribeRequest) error {
	if limit := b.options.Session.MaxChannels; len(requests) > limit {
		return fmt.Errorf("%w: the limit is %d", session.ErrTooManyChannels, limit)
	}
	for i, r := range requests {
		if err := b.Session.Reserve(ctx, r); err != nil {
			return err
		}
		// The first hook is called alone: a backend that does not answer fails once for this client, and not as often as
		// opens its circuit breaker.
		if rest := requests[i+1:]; len(rest) > 1 && !r.ServerSide && b.options.Session.Hooks.HasSubscribe() {
			return b.reserveInParallel(ctx, rest)
		}
	}
	return nil
}

// reserveInParallel reserves channels without waiting for one hook's answer before calling the next. It returns when
// all that it started has ended.
func (b *Base) reserveInParallel(ctx context.Context, requests []session.SubscribeRequest) error {
	var group errgroup.Group
	group.SetLimit(MaxParallelHooks)
	var failed atomic.Bool
	errs := make([]error, len(requests))
	for i, r := range requests {
		// The channels before this one have been started, so that the first error in the list is known.
		if failed.Load() {
			break
		}
		group.Go(func() error {
			if errs[i] = b.reserveRecovered(ctx, r); errs[i] != nil {
				failed.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait()
	return cmp.Or(errs...)
}

// reserveRecovered turns a panic into recovery.ErrPanic: it runs in a goroutine of its own, where a panic would end the
// gateway.
func (b *Base) reserveRecovered(ctx context.Context, r session.SubscribeRequest) (err error) {
	name := slog.String("protocol", r.Protocol)
	defer recovery.ToError(&err, b.options.Logger, "handshake failed", name)
	return b.Session.Reserve(ctx, r)
}

// AttachAll begins the delivery of the channels that were reserved. c is the handler that embeds b. Reservations that
// the server ended, or whose time is over, are left out. It returns an error of the broker when the client cannot be
// made present.
func (b *Base) AttachAll(ctx context.Context, c session.Subscriber) error {
	for _, channel := range b.Session.Channels() {
		err := b.Session.Attach(ctx, channel, c)
		ended := errors.Is(err, session.ErrNotSubscribed) || errors.Is(err, session.ErrSubscriptionEnded)
		if err != nil && !ended {
			return err
		}
	}
	return nil
}
