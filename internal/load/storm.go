package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// storm drops and reconnects all clients as often as --cycles says.
func (d *director) storm(ctx context.Context) error {
	if d.options.Recover {
		return d.stormWithTraffic(ctx)
	}
	return d.cycles(ctx)
}

// stormWithTraffic publishes during the storm, so that clients recover messages that they missed.
func (d *director) stormWithTraffic(ctx context.Context) error {
	t, err := d.publish(ctx, unlimited)
	if err != nil {
		return err
	}
	if err = d.waitUntil(ctx, t.args.From, nil); err == nil {
		err = d.cycles(ctx)
	}
	measuredSeconds := time.Duration(d.clock.now() - t.args.From).Seconds()
	_, ended := callEach[None, None](d.workers, "StopPublishing", sameArgs(None{}))
	d.result.Publish, d.result.Delivery, err = d.finishRun(ctx, t, measuredSeconds, errors.Join(err, ended))
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

// cycle drops and reconnects all clients once, except the extra publishers.
func (d *director) cycle(ctx context.Context, number int) error {
	o := &d.options
	all := d.plan.listeners()
	before := d.latestReport().Open - d.plan.extra
	if _, err := callEach[Range, None](d.workers, "Drop", sameArgs(all)); err != nil {
		return err
	}
	started := time.Now()
	c, last, err := d.connectClients(ctx, fmt.Sprintf("storm %d", number), ConnectArgs{
		Range:       all,
		Concurrency: o.stormConcurrency,
		Storm:       true,
		Jitter:      o.Jitter,
		RetryDelay:  o.RetryDelay,
		GiveUp:      d.clock.now() + int64(o.Jitter+o.Timeout),
	})
	step := Step{
		Clients:          before,
		Seconds:          time.Since(started).Seconds(),
		Connect:          c,
		BackAfterSeconds: last,
		Timeline:         c.timeline,
		Server:           d.lastPhase().Server,
	}
	if o.Recover {
		step.Recovery = new(c.recovery)
	}
	d.result.Steps = append(d.result.Steps, step)
	if c.Failed > 0 {
		d.addFailure(fmt.Errorf("%d clients did not come back within %v: %s", c.Failed, o.Jitter+o.Timeout, listed(c.Errors)))
	}
	return err
}
