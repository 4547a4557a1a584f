package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// connect connects clients and adds to the totals. It returns an error when the run cannot go on.
func (d *director) connect(ctx context.Context, name string, r Range) (Connect, error) {
	o := &d.options
	c, last, err := d.connectClients(ctx, name,
		ConnectArgs{Range: r, Rate: o.ConnectRate, Concurrency: o.ConnectConcurrency})
	total := &d.result.Connect
	total.Attempted += c.Attempted
	total.Connected += c.Connected
	total.Failed += c.Failed
	maps.Copy(total.Errors, added(total.Errors, c.Errors))
	if d.connectSeconds += last; d.connectSeconds > 0 {
		total.PerSecond = float64(total.Connected) / d.connectSeconds
	}
	return c, err
}

// added returns b with the counts of a added to those of the same keys.
func added(a, b map[string]int64) map[string]int64 {
	sum := map[string]int64{}
	for text, n := range b {
		sum[text] = a[text] + n
	}
	return sum
}

// addTimeline adds the attempts of b to those of a, second by second.
func addTimeline(a, b []Attempts) []Attempts {
	for i, s := range b {
		if i == len(a) {
			a = append(a, Attempts{})
		}
		a[i].Attempted += s.Attempted
		a[i].Connected += s.Connected
	}
	return a
}

// connectClients connects clients in a phase of that name. last is the time in seconds until the last client was
// subscribed.
func (d *director) connectClients(ctx context.Context, name string,
	args ConnectArgs) (c Connect, last float64, err error) {
	n := len(d.workers.clients)
	latency := newHistogram()
	c.Errors = map[string]int64{}
	gaveUp := true
	err = d.measurePhase(ctx, name, func() error {
		args.Start = d.clock.now()
		replies, err := callEach[ConnectArgs, ConnectReply](d.workers, "Connect", func(i int) ConnectArgs {
			a := args
			a.Rate, a.Concurrency = args.Rate/float64(n), max(1, share(args.Concurrency, i, n))
			return a
		})
		for _, r := range replies {
			c.Attempted += r.Attempted
			c.Connected += r.Connected
			c.Failed += r.Failed
			c.recovery.add(r.Recovery)
			c.timeline = addTimeline(c.timeline, r.Timeline)
			maps.Copy(c.Errors, added(c.Errors, r.Errors))
			err = errors.Join(err, merge(latency, r.Latency))
			last = max(last, time.Duration(r.Last-args.Start).Seconds())
			gaveUp = gaveUp && r.GaveUp
		}
		return err
	})
	c.Latency = summary(latency)
	if last > 0 {
		c.PerSecond = float64(c.Connected) / last
	}
	if !args.Storm {
		d.connectLatency.Merge(latency)
	}
	switch {
	case err != nil:
	case gaveUp:
		err = fmt.Errorf("gave up after %d attempts, all of which failed: is there a server at %s?", c.Attempted,
			d.options.URL)
	case c.Connected == 0 && ctx.Err() == nil:
		err = fmt.Errorf("no client could connect: is there a server at %s?", d.options.URL)
	}
	return c, last, err
}

func (d *director) lastPhase() Phase { return d.result.Phases[len(d.result.Phases)-1] }

// ramp adds clients in steps until all are connected or rampEndReason ends it.
func (d *director) ramp(ctx context.Context) error {
	o := &d.options
	if _, err := d.connect(ctx, "connect publishers", Range{0, d.plan.extra}); err != nil {
		return err
	}
	for from := 0; from < o.Clients && ctx.Err() == nil; from += o.StepClients {
		to := min(o.Clients, from+o.StepClients)
		c, err := d.connect(ctx, fmt.Sprintf("connect %d", to), Range{d.plan.extra + from, d.plan.extra + to})
		if err != nil {
			return err
		}
		p, v, err := d.run(ctx, fmt.Sprintf("run %d", to))
		d.result.Publish, d.result.Delivery = p, v
		d.result.Steps = append(d.result.Steps, Step{
			Clients: to, Seconds: d.lastPhase().Seconds, Connect: c, Publish: &p, Delivery: &v, Server: d.lastPhase().Server,
		})
		if err != nil {
			return err
		}
		if d.result.Ended = d.rampEndReason(c, p, v); d.result.Ended != "" {
			return nil
		}
	}
	return nil
}

// rampEndReason returns why a ramp ends before all clients are connected; empty when it goes on.
func (d *director) rampEndReason(c Connect, p Publish, v Delivery) string {
	switch limit := d.options.MaxP99; {
	case c.Failed > 0:
		return "clients could not connect"
	case len(d.latestReport().Disconnects) > 0:
		return "connections were lost"
	case p.Failed > 0:
		return "publications failed"
	case v.Lost > 0:
		return "messages were lost"
	case limit > 0 && v.Latency.P99 > limit.Seconds():
		return fmt.Sprintf("p99 was above %v", limit)
	}
	return ""
}
