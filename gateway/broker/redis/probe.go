package redis

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxMissedProbes is how many probes may be missing before the connection is given up.
const maxMissedProbes = 3

func (l *pubSubConn) silenceTimeout() time.Duration {
	return maxMissedProbes * l.broker.options.ProbeInterval
}

// sendProbes publishes a message to this connection at every interval. Only a probe that comes back proves that
// messages flow: an open connection does not. It returns errSilent when too many probes are missing.
func (l *pubSubConn) sendProbes(ctx context.Context) error {
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
		silent := time.Since(l.lastProbe) > l.silenceTimeout()
		l.mu.Unlock()
		if silent {
			return errSilent
		}
		// A failed publication says nothing about this connection, which stays open.
		if err := l.broker.publishProbe(ctx, l.probe); err != nil && ctx.Err() == nil {
			l.set(false, err)
		}
	}
}

// publishProbe publishes a probe, also while Redis counts as lost: a probe that comes back ends that. It returns
// broker.ErrUnavailable.
func (b *Broker) publishProbe(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	cmd := redis.NewIntCmd(ctx, b.publishCommand(), name, []byte{0})
	if err := b.publications.sendPatiently(ctx, cmd); err != nil {
		return unavailable("probe", err)
	}
	return nil
}
