package plain

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/internal/recovery"
)

// sideBySide is about how many channels of one handshake the backend is asked at the same time.
const sideBySide = 8

// reserve makes the gateway receive the channels that the handshake names. Those that are given are the
// server's wish, the others the client's. The error is that of the first channel that has one.
func (c *client) reserve(ctx context.Context, channels, given []string) error {
	if most := c.plain.options.Session.MaxChannels; len(channels) > most {
		return fmt.Errorf("%w: the limit is %d", session.ErrTooManyChannels, most)
	}
	wishes := make([]session.SubscribeRequest, 0, len(channels))
	for _, channel := range channels {
		wishes = append(wishes, session.SubscribeRequest{Channel: channel, Protocol: Name, ServerSide: slices.Contains(given, channel)})
	}
	for i, w := range wishes {
		if err := c.session.Reserve(ctx, w); err != nil {
			return err
		}
		// The first question is asked alone: a backend that does not answer fails once for this client, and not
		// as often as opens its breaker.
		if rest := wishes[i+1:]; len(rest) > 1 && !w.ServerSide && c.plain.options.Session.Hooks.HasSubscribe() {
			return c.reserveTogether(ctx, rest)
		}
	}
	return nil
}

// reserveTogether does not wait for the backend's answer to one question before it asks the next. It
// returns when nothing is under way any more.
func (c *client) reserveTogether(ctx context.Context, wishes []session.SubscribeRequest) error {
	var group errgroup.Group
	group.SetLimit(sideBySide)
	var failed atomic.Bool
	errs := make([]error, len(wishes))
	for i, w := range wishes {
		// The channels before this one are under way, or done: none of them is left out.
		if failed.Load() {
			break
		}
		group.Go(func() error {
			if errs[i] = c.reserveOne(ctx, w); errs[i] != nil {
				failed.Store(true)
			}
			return nil
		})
	}
	_ = group.Wait()
	return cmp.Or(errs...)
}

// reserveOne keeps a bug met by one channel from ending the gateway: it has a goroutine of its own.
func (c *client) reserveOne(ctx context.Context, w session.SubscribeRequest) (err error) {
	defer recovery.ToError(&err, c.plain.options.Logger, "handshake failed", slog.String("protocol", Name))
	return c.session.Reserve(ctx, w)
}
