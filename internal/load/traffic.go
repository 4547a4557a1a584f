package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wsfleet/wsfleet/internal/report"
)

// startDelay is the time between preparing the workers and the start of a run.
const startDelay = 20 * time.Millisecond

// traffic is a run of publications that is under way.
type traffic struct {
	args RunArgs
	// published is closed when the workers have stopped publishing. Then replies and failed are set.
	published chan struct{}
	replies   []RunReply
	failed    error
	// stopRelay ends the relay of deliveries between workers; relayDone is closed when it has ended. relayDone is nil
	// when there is no relay.
	stopRelay context.CancelFunc
	relayDone chan struct{}
}

// unlimited is the length of a run that StopPublishing ends.
const unlimited = 365 * 24 * time.Hour

// publish prepares all workers and starts a run: the warm-up and then the measured time.
func (d *director) publish(ctx context.Context, duration time.Duration) (*traffic, error) {
	o := &d.options
	subscribers, err := d.subscribers()
	if err != nil {
		return nil, err
	}
	d.runs++
	start := d.clock.now() + int64(startDelay)
	from := start + int64(o.Warmup)
	t := &traffic{
		args: RunArgs{
			Run:         d.runTag(),
			Start:       start,
			From:        from,
			To:          from + int64(duration),
			Rate:        o.Rate,
			Window:      o.Window,
			Subscribers: subscribers,
		},
		published: make(chan struct{}),
		stopRelay: func() {},
	}
	publishers, err := callEach[RunArgs, int](d.workers, "Prepare", sameArgs(t.args))
	if err == nil && total(publishers) == 0 {
		err = errors.New("no client can publish: no publisher is connected")
	}
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.latency.Reset()
	d.phase = "warmup"
	d.mu.Unlock()
	d.startRelay(ctx, t)
	go func() {
		defer close(t.published)
		t.replies, t.failed = callEach[None, RunReply](d.workers, "Publish", sameArgs(None{}))
	}()
	return t, nil
}

// startRelay starts to tell the workers of a closed loop about the deliveries of other workers.
func (d *director) startRelay(ctx context.Context, t *traffic) {
	if d.options.Window == 0 {
		return
	}
	relayCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	t.stopRelay, t.relayDone = stop, make(chan struct{})
	go func() {
		defer close(t.relayDone)
		d.addFailure(d.workers.relayDeliveries(relayCtx, d.plan))
	}()
}

// endedEarly returns a channel that is closed when a closed loop stops because deliveries are missing. It is nil for
// an open loop, which sends its last message before the end anyway.
func (t *traffic) endedEarly() <-chan struct{} {
	if t.args.Window == 0 {
		return nil
	}
	return t.published
}

// run publishes for the warm-up and the measured time, and waits for the messages that are on their way.
func (d *director) run(ctx context.Context, name string) (p Publish, v Delivery, err error) {
	t, err := d.publish(ctx, d.options.Duration)
	if err != nil {
		return p, v, err
	}
	measuredSeconds := 0.0
	if err = d.waitUntil(ctx, t.args.From, t.endedEarly()); err == nil {
		err = d.measurePhase(ctx, name, func() error {
			err := d.waitUntil(ctx, t.args.To, t.endedEarly())
			measuredSeconds = time.Duration(d.clock.now() - t.args.From).Seconds()
			return err
		})
	}
	return d.finishRun(ctx, t, measuredSeconds, err)
}

// finishRun waits for the end of a run that was measured for measuredSeconds, and for the messages that are on their
// way.
func (d *director) finishRun(ctx context.Context, t *traffic, measuredSeconds float64,
	err error) (Publish, Delivery, error) {
	if err != nil {
		// The run cannot go on: end the publishing that still waits.
		err = errors.Join(err, d.workers.cancel())
	}
	<-t.published
	err = errors.Join(err, t.failed, d.awaitDeliveries())
	t.stopRelay()
	if t.relayDone != nil {
		<-t.relayDone
	}
	r, reportErr := d.report()
	if r.Open == 0 && err == nil {
		err = errAllDisconnected
	}
	p, v := d.measured(r, measuredSeconds)
	return p, v, errors.Join(err, d.shortfall(ctx, t, err), reportErr)
}

// shortfall returns an error that says which publications could not be sent or were not delivered in time.
func (d *director) shortfall(ctx context.Context, t *traffic, ended error) (err error) {
	stalled, unsent := 0, int64(0)
	for _, reply := range t.replies {
		stalled += reply.Stalled
		unsent += reply.Unsent
	}
	if unsent > 0 {
		err = fmt.Errorf("%s messages were due and not sent within %v: this machine cannot offer the rate, lower --rate",
			report.Grouped(unsent), d.options.Timeout)
	}
	if stalled > 0 && ctx.Err() == nil && !errors.Is(ended, errAllDisconnected) {
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

// runTag returns the number that marks the messages of this run. It differs from run to run, and most likely between
// load tools that use the same channels.
func (d *director) runTag() uint16 { return uint16(d.clock.base>>10) + d.runs }

// subscribers returns the number of open clients of each channel, over all workers.
func (d *director) subscribers() ([]int, error) {
	all, err := callEach[None, []int](d.workers, "Subscribers", sameArgs(None{}))
	sum := make([]int, d.plan.channels)
	for _, channels := range all {
		for i, n := range channels {
			sum[i] += n
		}
	}
	return sum, err
}

// measured converts the counters of a run of so many seconds into its result.
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

// awaitDeliveries waits until all expected messages have arrived, or until none arrives for the timeout.
func (d *director) awaitDeliveries() error {
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
		time.Sleep(pollInterval)
	}
	return nil
}
