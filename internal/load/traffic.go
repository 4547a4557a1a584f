package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// soon is when a run begins after it was announced.
const soon = 20 * time.Millisecond

// traffic is publications that are under way.
type traffic struct {
	args RunArgs
	// published is closed when no more are sent; then the rest is there.
	published chan struct{}
	replies   []RunReply
	failed    error
	// carried is closed when nobody waits for deliveries any more, after enough.
	enough  context.CancelFunc
	carried chan struct{}
}

// forever is the length of a run that is ended.
const forever = 24 * time.Hour

// publish begins to publish: the warm-up, and the time that is measured.
func (d *director) publish(ctx context.Context, lasting time.Duration) (*traffic, error) {
	o := &d.options
	subscribers, err := d.subscribers()
	if err != nil {
		return nil, err
	}
	d.runs++
	start := d.clock.now() + int64(soon)
	from := start + int64(o.Warmup)
	t := &traffic{
		args: RunArgs{
			Run:         d.runTag(),
			Start:       start,
			From:        from,
			To:          from + int64(lasting),
			Rate:        o.Rate,
			Window:      o.Window,
			Subscribers: subscribers,
		},
		published: make(chan struct{}),
		enough:    func() {},
	}
	publishers, err := collect[RunArgs, int](d.fleet, "Prepare", same(t.args))
	if err == nil && total(publishers) == 0 {
		err = errors.New("nobody can publish: no publisher is connected")
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.latency.Reset()
	d.phase = "warmup"
	d.mu.Unlock()
	d.carry(ctx, t)
	go func() {
		defer close(t.published)
		t.replies, t.failed = collect[None, RunReply](d.fleet, "Publish", same(None{}))
	}()
	return t, nil
}

// carry lets a closed loop's workers know what others received.
func (d *director) carry(ctx context.Context, t *traffic) {
	if d.options.Window == 0 {
		return
	}
	carrying, enough := context.WithCancel(context.WithoutCancel(ctx))
	t.enough, t.carried = enough, make(chan struct{})
	go func() {
		defer close(t.carried)
		d.fail(d.fleet.carry(carrying, d.plan))
	}()
}

// early is closed when a closed loop waits in vain. An open loop has sent its last message before the
// end.
func (t *traffic) early() <-chan struct{} {
	if t.args.Window == 0 {
		return nil
	}
	return t.published
}

// run publishes for the warm-up and the measured time, and waits for what is on its way.
func (d *director) run(ctx context.Context, name string) (p Publish, v Delivery, err error) {
	t, err := d.publish(ctx, d.options.Duration)
	if err != nil {
		return p, v, err
	}
	measured := 0.0
	if err = d.restUntil(ctx, t.args.From, t.early()); err == nil {
		err = d.during(ctx, name, func() error {
			err := d.restUntil(ctx, t.args.To, t.early())
			measured = time.Duration(d.clock.now() - t.args.From).Seconds()
			return err
		})
	}
	return d.settled(ctx, t, measured, err)
}

// settled waits for the end of a run that was measured for so many seconds, and for what is on its way.
func (d *director) settled(ctx context.Context, t *traffic, measured float64, err error) (Publish, Delivery, error) {
	if err != nil {
		// Nobody is left to publish to.
		err = errors.Join(err, d.fleet.cancel())
	}
	<-t.published
	err = errors.Join(err, t.failed, d.drain())
	t.enough()
	if t.carried != nil {
		<-t.carried
	}
	r, lookErr := d.report()
	if r.Open == 0 && err == nil {
		err = errEveryoneGone
	}
	p, v := d.measured(r, measured)
	return p, v, errors.Join(err, d.unfinished(ctx, t, err), lookErr)
}

// unfinished says what publishers could not do.
func (d *director) unfinished(ctx context.Context, t *traffic, ended error) (err error) {
	stalled, unsent := 0, int64(0)
	for _, reply := range t.replies {
		stalled += reply.Stalled
		unsent += reply.Unsent
	}
	if unsent > 0 {
		err = fmt.Errorf("%s messages were due and not sent within %v: this machine cannot offer the rate, lower --rate",
			grouped(unsent), d.options.Timeout)
	}
	if stalled > 0 && ctx.Err() == nil && !errors.Is(ended, errEveryoneGone) {
		err = errors.Join(err,
			fmt.Errorf("the closed loop waited %v for %d publications that not all subscribers got", d.options.Timeout, stalled))
	}
	return err
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
	v = Delivery{
		Expected:   r.Expected,
		Received:   r.Received,
		Lost:       max(0, r.Expected-r.Received),
		Duplicated: r.Duplicated,
		Reordered:  r.Reordered,
	}
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
