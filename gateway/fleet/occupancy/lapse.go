package occupancy

import (
	"context"
	"time"
)

const (
	// asks is how often in a time to live the directory is asked for channels of gateways that are gone. It
	// sees by that for how long all of them could renew theirs.
	asks        = 12
	callTimeout = 5 * time.Second
)

// lapsing tells of the channels of gateways that are gone.
func (k *Keeper) lapsing(ctx context.Context) error {
	ticker := time.NewTicker(k.options.TTL / asks)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		k.warnings.WarnError("channels of gateways that are gone are told of later", k.vacateLapsed(ctx))
	}
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
		vacated, err := k.options.Directory.VacateExpired(ctx, k.options.TTL)
		more = len(vacated) > 0
		return vacated, err
	})
	return more, err
}
