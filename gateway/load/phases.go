package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

// connect lets clients come. An error means that going on makes no sense.
func (d *director) connect(ctx context.Context, name string, r Range) (Connect, error) {
	o := &d.options
	c, last, err := d.arrive(ctx, name, ConnectArgs{Range: r, Rate: o.ConnectRate, Concurrency: o.ConnectConcurrency})
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

func added(a, b map[string]int64) map[string]int64 {
	sum := map[string]int64{}
	for text, n := range b {
		sum[text] = a[text] + n
	}
	return sum
}

// arrive is connect without its totals; last is when the last client was there, in seconds.
func (d *director) arrive(ctx context.Context, name string, args ConnectArgs) (c Connect, last float64, err error) {
	n := len(d.fleet.workers)
	latency := newHistogram()
	c.Errors = map[string]int64{}
	gaveUp := true
	err = d.during(ctx, name, func() error {
		args.Start = d.clock.now()
		replies, err := collect[ConnectArgs, ConnectReply](d.fleet, "Connect", func(i int) ConnectArgs {
			a := args
			a.Rate, a.Concurrency = args.Rate/float64(n), max(1, share(args.Concurrency, i, n))
			return a
		})
		for _, r := range replies {
			c.Attempted += r.Attempted
			c.Connected += r.Connected
			c.Failed += r.Failed
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
		err = fmt.Errorf("gave up after %d attempts, all of which failed: is there a server at %s?", c.Attempted, d.options.URL)
	case c.Connected == 0 && ctx.Err() == nil:
		err = fmt.Errorf("no client could connect: is there a server at %s?", d.options.URL)
	}
	return c, last, err
}

// soon is when a run begins after it was announced.
const soon = 20 * time.Millisecond

// run publishes for the warm-up and the measured time, and waits for what is on its way.
func (d *director) run(ctx context.Context, name string) (p Publish, v Delivery, err error) {
	o := &d.options
	subscribers, err := d.subscribers()
	if err != nil {
		return p, v, err
	}
	d.runs++
	start := d.clock.now() + int64(soon)
	from := start + int64(o.Warmup)
	args := RunArgs{Run: d.runTag(), Start: start, From: from, To: from + int64(o.Duration), Rate: o.Rate, Window: o.Window, Subscribers: subscribers}
	publishers, err := collect[RunArgs, int](d.fleet, "Prepare", same(args))
	if err == nil && total(publishers) == 0 {
		err = errors.New("nobody can publish: no publisher is connected")
	}
	if err != nil {
		return p, v, err
	}
	d.mu.Lock()
	d.latency.Reset()
	d.phase = "warmup"
	d.mu.Unlock()

	if o.Window > 0 {
		carrying, enough := context.WithCancel(context.WithoutCancel(ctx))
		carried := make(chan struct{})
		go func() {
			defer close(carried)
			d.fail(d.fleet.carry(carrying, d.plan))
		}()
		defer func() { enough(); <-carried }()
	}
	published := make(chan struct{})
	var replies []RunReply
	var failed error
	go func() {
		defer close(published)
		replies, failed = collect[None, RunReply](d.fleet, "Publish", same(None{}))
	}()

	// A closed loop that ends early waits in vain; an open loop has sent its last message before the end.
	early := published
	if o.Window == 0 {
		early = nil
	}
	err = d.restUntil(ctx, from, early)
	measured := 0.0
	if err == nil {
		err = d.during(ctx, name, func() error {
			err := d.restUntil(ctx, args.To, early)
			measured = time.Duration(d.clock.now() - from).Seconds()
			return err
		})
	}
	if err != nil {
		// Nobody is left to publish to.
		err = errors.Join(err, d.fleet.cancel())
	}
	<-published
	err = errors.Join(err, failed, d.drain())
	r, lookErr := d.report()
	if r.Open == 0 && err == nil {
		err = errEveryoneGone
	}
	p, v = d.measured(r, measured)
	stalled, unsent := 0, int64(0)
	for _, reply := range replies {
		stalled += reply.Stalled
		unsent += reply.Unsent
	}
	if unsent > 0 {
		err = errors.Join(err, fmt.Errorf("%s messages were due and not sent within %v: this machine cannot offer the rate, lower --rate", grouped(unsent), o.Timeout))
	}
	if stalled > 0 && ctx.Err() == nil && !errors.Is(err, errEveryoneGone) {
		err = errors.Join(err, fmt.Errorf("the closed loop waited %v for %d publications that not all subscribers got", o.Timeout, stalled))
	}
	return p, v, errors.Join(err, lookErr)
}

func total(parts []int) (sum int) {
	for _, n := range parts {
		sum += n
	}
	return sum
}

// runTag is the same for nobody else, most likely, and differs from run to run.
func (d *director) runTag() uint16 { return uint16(d.clock.base>>10) + d.runs }

func (d *director) subscribers() ([]int, error) {
	all, err := collect[None, []int](d.fleet, "Subscribers", same(None{}))
	sum := make([]int, d.plan.channels)
	for _, channels := range all {
		for i, n := range channels {
			sum[i] += n
		}
	}
	return sum, err
}

// measured is the outcome of a run of that many seconds.
func (d *director) measured(r Report, seconds float64) (p Publish, v Delivery) {
	p = Publish{Sent: r.Sent, Acknowledged: r.Acknowledged, Failed: r.Failed, Errors: r.PublishErrors}
	v = Delivery{Expected: r.Expected, Received: r.Received, Lost: max(0, r.Expected-r.Received), Duplicated: r.Duplicated, Reordered: r.Reordered}
	if seconds > 0 {
		p.PerSecond, v.PerSecond = float64(r.Sent)/seconds, float64(r.Arrived)/seconds
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	v.Latency = summary(d.latency)
	return p, v
}

// drain waits for messages that are on their way, while some still come.
func (d *director) drain() error {
	d.mu.Lock()
	d.phase = "drain"
	d.mu.Unlock()
	progress, since := int64(-1), time.Now()
	for time.Since(since) < d.options.Timeout {
		r, err := d.report()
		if err != nil {
			return err
		}
		answered := d.options.Protocol == Plain || r.Acknowledged+r.Failed >= r.Sent
		if r.Open == 0 || answered && r.Received >= r.Expected {
			return nil
		}
		if now := r.Received + r.Acknowledged; now != progress {
			progress, since = now, time.Now()
		}
		time.Sleep(glance)
	}
	return nil
}

// storm drops everybody and lets them come back.
func (d *director) storm(ctx context.Context) error {
	o := &d.options
	all := d.plan.everyone()
	for cycle := 1; cycle <= o.Cycles && ctx.Err() == nil; cycle++ {
		before := d.newest().Open
		if _, err := collect[Range, None](d.fleet, "Drop", same(all)); err != nil {
			return err
		}
		started := time.Now()
		c, last, err := d.arrive(ctx, fmt.Sprintf("storm %d", cycle), ConnectArgs{
			Range: all, Concurrency: o.stormConcurrency, Storm: true, Jitter: o.Jitter, GiveUp: d.clock.now() + int64(o.Jitter+o.Timeout),
		})
		d.result.Steps = append(d.result.Steps, Step{
			Clients: before, Seconds: time.Since(started).Seconds(), Connect: c, BackAfterSeconds: last, Server: d.lastPhase().Server,
		})
		if c.Failed > 0 {
			d.fail(fmt.Errorf("%d clients did not come back within %v: %s", c.Failed, o.Jitter+o.Timeout, listed(c.Errors)))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *director) lastPhase() Phase { return d.result.Phases[len(d.result.Phases)-1] }

// ramp adds clients until they are all there or the server has enough.
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
		if d.result.Ended = d.enough(c, p, v); d.result.Ended != "" {
			return nil
		}
	}
	return nil
}

// enough says why a ramp ends before all clients are there.
func (d *director) enough(c Connect, p Publish, v Delivery) string {
	switch limit := d.options.MaxP99; {
	case c.Failed > 0:
		return "clients could not connect"
	case len(d.newest().Disconnects) > 0:
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
