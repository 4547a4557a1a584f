package occupancy

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Parts of the time to live, and a bound.
const (
	// asks is how often in it the directory is asked for channels of gateways that are gone.
	asks = 12
	// settling is the part in which all gateways that are there renew theirs.
	settling    = 2
	callTimeout = 5 * time.Second
)

// lapsing tells of the channels of gateways that are gone. While the broker was away nobody could renew
// anything: those that are there are waited for first, also after a start, since who starts does not
// know.
func (k *Keeper) lapsing(ctx context.Context) error {
	wait := k.options.TTL / settling
	for sleep(ctx, wait) {
		wait = k.options.TTL / asks
		if err := k.vacateLapsed(ctx); err != nil {
			k.complain(err)
			wait = k.options.TTL / settling
		}
	}
	return nil
}

// vacateLapsed takes what there is, as long as there is room for it: the directory keeps the rest.
func (k *Keeper) vacateLapsed(ctx context.Context) error {
	for !k.options.Crowded() {
		more, err := k.vacateSome(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (k *Keeper) vacateSome(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = k.ask(ctx, k.options.Vacated, func() ([]string, error) {
		vacated, err := k.options.Directory.VacateLapsed(ctx)
		more = len(vacated) > 0
		return vacated, err
	})
	return more, err
}

func (k *Keeper) complain(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	k.complaint.Do(func() {
		k.options.Logger.Warn("channels of gateways that are gone are told of later", slog.Any("error", err))
	})
}

// sleep reports false when the context has ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
