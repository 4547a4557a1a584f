package presence

import (
	"context"
	"time"
)

// sweepAt has a channel swept at a time, which is when the grace of a member is over. The latest time counts.
func (k *Keeper) sweepAt(channel string, at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.sweeps[channel].Before(at) {
		k.sweeps[channel] = at
	}
}

// runSweeps sweeps channels that are due until the context ends, and returns the context's error.
func (k *Keeper) runSweeps(ctx context.Context) error {
	return every(ctx, sweepInterval, func(now time.Time) {
		for _, channel := range k.dueSweeps(now) {
			k.sweep(ctx, channel)
		}
	})
}

// sweep removes the members of a channel whose grace is over, and publishes their leaves. It tries again later after
// an error.
func (k *Keeper) sweep(ctx context.Context, channel string) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	gone, err := k.options.Broker.Sweep(ctx, channel)
	if err != nil {
		k.warn(err)
		k.sweepAt(channel, time.Now().Add(sweepRetryDelay))
	}
	k.publishLeaves(ctx, channel, gone)
}

// dueSweeps takes out the channels whose latest grace is over. When members leave one after the other, the earlier ones
// wait for the latest, but not for long: a renewal of the channel sweeps as well.
func (k *Keeper) dueSweeps(now time.Time) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var due []string
	for channel, at := range k.sweeps {
		if !now.Before(at) {
			due = append(due, channel)
			delete(k.sweeps, channel)
		}
	}
	return due
}
