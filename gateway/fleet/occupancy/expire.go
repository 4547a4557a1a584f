package occupancy

import (
	"context"
	"time"
)

const (
	// checksPerTTL is how often within a time to live the directory is asked for expired registrations. From these calls
	// the directory also learns for how long all gateways were able to renew theirs.
	checksPerTTL = 12
	callTimeout  = 5 * time.Second
)

// expire vacates the channels of crashed gateways, checksPerTTL times within the TTL. It returns nil once ctx ends.
func (t *Tracker) expire(ctx context.Context) error {
	ticker := time.NewTicker(t.options.TTL / checksPerTTL)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		t.warnings.WarnError("channels of crashed gateways are reported late", t.vacateExpired(ctx))
	}
}

// vacateExpired vacates expired channels until there are none or until there is backpressure; the directory keeps the
// others. It returns the directory's error.
func (t *Tracker) vacateExpired(ctx context.Context) error {
	for !t.options.Backpressure() {
		more, err := t.vacateBatch(ctx)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// vacateBatch makes one call for expired channels. more is false when there were none.
func (t *Tracker) vacateBatch(ctx context.Context) (more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = t.callAndReport(ctx, t.options.Vacated, func() ([]string, error) {
		vacated, err := t.options.Directory.VacateExpired(ctx, t.options.TTL)
		more = len(vacated) > 0
		return vacated, err
	})
	return more, err
}
