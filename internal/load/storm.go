package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storm drops everybody and lets them come back, as often as it was asked for.
func (d *director) storm(ctx context.Context) error {
	if d.options.Recover {
		return d.stormInTraffic(ctx)
	}
	return d.cycles(ctx)
}

// stormInTraffic publishes meanwhile: clients come back to messages that they missed.
func (d *director) stormInTraffic(ctx context.Context) error {
	t, err := d.publish(ctx, forever)
	if err != nil {
		return err
	}
	if err = d.restUntil(ctx, t.args.From, nil); err == nil {
		err = d.cycles(ctx)
	}
	measured := time.Duration(d.clock.now() - t.args.From).Seconds()
	_, ended := collect[None, None](d.fleet, "Enough", same(None{}))
	d.result.Publish, d.result.Delivery, err = d.settled(ctx, t, measured, errors.Join(err, ended))
	return err
}

func (d *director) cycles(ctx context.Context) error {
	for cycle := 1; cycle <= d.options.Cycles && ctx.Err() == nil; cycle++ {
		if err := d.cycle(ctx, cycle); err != nil {
			return err
		}
	}
	return nil
}

// cycle drops everybody once, except those that publish.
func (d *director) cycle(ctx context.Context, number int) error {
	o := &d.options
	all := d.plan.listeners()
	before := d.newest().Open - d.plan.extra
	if _, err := collect[Range, None](d.fleet, "Drop", same(all)); err != nil {
		return err
	}
	started := time.Now()
	c, last, err := d.arrive(ctx, fmt.Sprintf("storm %d", number), ConnectArgs{
		Range:       all,
		Concurrency: o.stormConcurrency,
		Storm:       true,
		Jitter:      o.Jitter,
		GiveUp:      d.clock.now() + int64(o.Jitter+o.Timeout),
	})
	step := Step{
		Clients:          before,
		Seconds:          time.Since(started).Seconds(),
		Connect:          c,
		BackAfterSeconds: last,
		Server:           d.lastPhase().Server,
	}
	if o.Recover {
		step.Recovery = new(c.recovery)
	}
	d.result.Steps = append(d.result.Steps, step)
	if c.Failed > 0 {
		d.fail(fmt.Errorf("%d clients did not come back within %v: %s", c.Failed, o.Jitter+o.Timeout, listed(c.Errors)))
	}
	return err
}
