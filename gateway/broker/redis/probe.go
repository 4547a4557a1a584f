package redis

import (
	"context"
	"time"
)

// patienceIntervals is how many probes may stay away before the connection is given up.
const patienceIntervals = 3

func (l *link) patience() time.Duration {
	return patienceIntervals * l.broker.options.ProbeInterval
}

// probing sends a message through Redis to this very link, again and again. That it comes back is
// the only proof that messages flow: a connection can be open and useless.
func (l *link) probing(ctx context.Context) error {
	ticker := time.NewTicker(l.broker.options.ProbeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.due:
		case <-ticker.C:
		}
		l.mu.Lock()
		silent := time.Since(l.echoed) > l.patience()
		l.mu.Unlock()
		if silent {
			return errSilent
		}
		// A publication that fails says nothing about the connection that is read: it stays.
		if _, err := l.broker.publish(ctx, l.probe, []byte{0}); err != nil && ctx.Err() == nil {
			l.set(false, err)
		}
	}
}
