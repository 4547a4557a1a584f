package redis

import (
	"context"
	"time"
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
		if _, err := l.broker.publish(ctx, l.probe, []byte{0}); err != nil && ctx.Err() == nil {
			l.set(false, err)
		}
	}
}
