package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Surroundings are what a run needs besides its options.
type Surroundings struct {
	// Start makes worker processes; it is needed when one process does not suffice.
	Start Start
	// Progress is told about every second; nil for nobody.
	Progress func(Sample)
}

// Run does what the options say. The result is nil only if nothing could be started; Failures say what
// went wrong in it. When ctx ends, the run does, and returns what it has.
func Run(ctx context.Context, o Options, around Surroundings) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.settle()
	if o.Sources == nil {
		o.Sources = defaultSources(ctx, o.URL)
	}
	d := &director{
		options:        o,
		observe:        newObserver(&o),
		clock:          newClock(),
		progress:       around.Progress,
		began:          time.Now(),
		connectLatency: newHistogram(),
		latency:        newHistogram(),
	}
	if err := d.look(ctx); err != nil {
		return nil, err
	}
	f, err := newFleet(&o, around.Start)
	if err != nil {
		return nil, err
	}
	d.fleet, d.plan = f, newPlan(&o, len(f.workers))
	d.result = newResult(&o, len(f.workers))
	running, abort := context.WithCancel(ctx)
	defer abort()
	stop := context.AfterFunc(running, func() { d.fail(f.cancel()) })
	watched := d.watch(context.WithoutCancel(ctx), abort)
	d.fail(d.scenario(running))
	d.conclude(ctx)
	watched()
	stop()
	d.fail(f.end())
	d.result.Failures = d.failures()
	return d.result, nil
}

// director carries a run through its phases.
type director struct {
	options  Options
	plan     plan
	fleet    *fleet
	observe  observer
	clock    clock
	progress func(Sample)
	began    time.Time
	result   *Result
	// first is the server before the first client.
	first *reading
	// runs counts runs of publications: each has its own number in its messages.
	runs           uint16
	connectLatency *hdrhistogram.Histogram
	// connectSeconds is the time in which clients came.
	connectSeconds float64

	mu sync.Mutex
	// latency is of the current run, phase what is going on, last the newest report.
	latency *hdrhistogram.Histogram
	phase   string
	last    Report
	errs    []error
}

func newResult(o *Options, processes int) *Result {
	return &Result{
		Scenario:     o.Scenario,
		URL:          o.URL,
		Protocol:     o.Protocol,
		Clients:      o.Clients,
		Channels:     o.Channels,
		Processes:    processes,
		MessageBytes: o.MessageBytes,
		Loop:         o.loop(),
		Rate:         o.Rate,
		Window:       o.Window,
		Phases:       []Phase{},
		Samples:      []Sample{},
		Connect:      Connect{Errors: map[string]int64{}},
		Publish:      Publish{Errors: map[string]int64{}},
		Disconnects:  map[string]int64{},
	}
}

// look is the first look at the server: where there is none, the command line is wrong.
func (d *director) look(ctx context.Context) error {
	if d.observe == nil {
		return nil
	}
	r, err := d.observe(ctx)
	if err != nil {
		flag, problem, _ := strings.Cut(strings.TrimPrefix(err.Error(), "--"), ": ")
		return &Error{Flag: flag, Problem: problem}
	}
	d.first = &r
	return nil
}

func (d *director) fail(err error) {
	if err == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = append(d.errs, err)
}

func (d *director) failures() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	texts := []string{}
	for _, err := range d.errs {
		for text := range strings.SplitSeq(err.Error(), "\n") {
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// scenario is the order of the phases.
func (d *director) scenario(ctx context.Context) error {
	o := &d.options
	if o.Scenario == Ramp {
		return d.ramp(ctx)
	}
	if _, err := d.connect(ctx, "connect", d.plan.everyone()); err != nil {
		return err
	}
	switch o.Scenario {
	case Idle:
		if err := d.rest(ctx, o.Warmup); err != nil {
			return err
		}
		return d.during(ctx, "hold", func() error { return d.rest(ctx, o.Hold) })
	case Storm:
		return d.storm(ctx)
	case Fanout, Chat, Direct, Ramp:
	}
	var err error
	d.result.Publish, d.result.Delivery, err = d.run(ctx, "run")
	return err
}

// errEveryoneGone ends a run that has nobody left.
var errEveryoneGone = errors.New("no connection is left: the server closed them all")

// rest lets time pass while there are clients.
func (d *director) rest(ctx context.Context, time time.Duration) error {
	return d.restUntil(ctx, d.clock.now()+int64(time), nil)
}

// glance is how often a wait looks around.
const glance = 20 * time.Millisecond

func (d *director) restUntil(ctx context.Context, until int64, done <-chan struct{}) error {
	for d.clock.until(until) > 0 {
		next := time.After(min(glance, d.clock.until(until)))
		select {
		case <-ctx.Done():
			return nil
		case <-done:
			return nil
		case <-next:
		}
		if d.newest().Open == 0 {
			return errEveryoneGone
		}
	}
	return nil
}

func (d *director) newest() Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// during measures a phase.
func (d *director) during(ctx context.Context, name string, do func() error) error {
	d.mu.Lock()
	d.phase = name
	d.mu.Unlock()
	// The server is read first and last: time and CPU time are of the same moments.
	before, started := d.read(ctx), time.Now()
	used := d.ownCPU()
	err := do()
	phase := Phase{Name: name, Seconds: time.Since(started).Seconds(), Server: between(before, d.read(ctx))}
	phase.LoadCPUSeconds = d.ownCPU() - used
	d.result.Phases = append(d.result.Phases, phase)
	return err
}

// ownCPU is this tool's, without what starting it took.
func (d *director) ownCPU() float64 {
	r, err := d.report()
	d.fail(err)
	return r.CPUSeconds
}

// read observes the server, also when the run is over.
func (d *director) read(ctx context.Context) *reading {
	if d.observe == nil {
		return nil
	}
	r, err := d.observe(context.WithoutCancel(ctx))
	if err != nil {
		d.fail(fmt.Errorf("the server could not be observed to the end: %w", err))
		return nil
	}
	return &r
}

func between(before, after *reading) *ServerPhase {
	if before == nil || after == nil {
		return nil
	}
	return &ServerPhase{
		CPUSeconds:    after.cpuSeconds - before.cpuSeconds,
		RSSStartBytes: before.rssBytes,
		RSSEndBytes:   after.rssBytes,
	}
}

// report asks all workers and adds up what they say.
func (d *director) report() (Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum, recent, err := d.fleet.report()
	d.latency.Merge(recent)
	d.last = sum
	return sum, err
}

// conclude fills in what is about the whole run.
func (d *director) conclude(ctx context.Context) {
	r, err := d.report()
	d.fail(err)
	d.result.Disconnects, d.result.LoadCPUSeconds = r.Disconnects, r.CPUSeconds
	d.result.Publish.Errors = r.PublishErrors
	d.result.Connect.Latency = summary(d.connectLatency)
	d.result.connectLatency, d.result.deliveryLatency = d.connectLatency, d.latency
	d.result.Interrupted = ctx.Err() != nil
	if c := d.result.Connect; c.Failed > 0 {
		d.fail(fmt.Errorf("%d clients could not connect: %s%s", c.Failed, listed(c.Errors), d.hint(c)))
	}
	if len(r.Disconnects) > 0 {
		d.fail(fmt.Errorf("connections ended that should not have: %s", listed(r.Disconnects)))
	}
	if len(r.PublishErrors) > 0 {
		d.fail(fmt.Errorf("publications failed: %s", listed(r.PublishErrors)))
	}
	if now := d.read(ctx); now != nil && d.first != nil {
		d.result.Server = &ServerTotal{CPUSeconds: now.cpuSeconds - d.first.cpuSeconds, RSSBytes: now.rssBytes}
	}
}

// hint says what may help clients that were refused.
func (d *director) hint(c Connect) string {
	if c.Errors[refusal(http.StatusServiceUnavailable)] == 0 || d.options.ConnectRate > 0 {
		return ""
	}
	return "; the server is full, or takes fewer connections a second: try --connect-rate"
}

// listed is counts in words, the most frequent first.
func listed(counts map[string]int64) string {
	texts := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%s (%d)", text, counts[text])
	}
	return strings.Join(texts, ", ")
}
