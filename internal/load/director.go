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

// Callbacks are the functions of the caller that Run uses.
type Callbacks struct {
	// WorkerCommand makes the command of a worker process. It is used when one process does not suffice.
	WorkerCommand WorkerCommand
	// Progress is called with a sample about every second, unless it is nil.
	Progress func(Sample)
}

// Run runs the scenario of the options and blocks until it has ended. When ctx is cancelled, it ends early and
// returns the result so far. It returns an *Error for options that cannot be used, and an error when the workers
// cannot be started. All later problems are listed in Failures of the result.
func Run(ctx context.Context, o Options, callbacks Callbacks) (*Result, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.applyDefaults()
	if o.Sources == nil {
		o.Sources = defaultSources(ctx, o.URL)
	}
	d := &director{
		options:        o,
		observe:        newObserver(&o),
		clock:          newClock(),
		progress:       callbacks.Progress,
		startedAt:      time.Now(),
		connectLatency: newHistogram(),
		latency:        newHistogram(),
	}
	if err := d.checkServer(ctx); err != nil {
		return nil, err
	}
	var err error
	if d.eventLines, err = openEvents(o.Events); err != nil {
		return nil, err
	}
	defer d.eventLines.close()
	f, err := startWorkers(&o, callbacks.WorkerCommand)
	if err != nil {
		return nil, err
	}
	d.workers, d.plan = f, newPlan(&o, len(f.clients))
	d.result = newResult(&o, len(f.clients))
	running, abort := context.WithCancel(ctx)
	defer abort()
	stop := context.AfterFunc(running, func() { d.addFailure(f.cancel()) })
	watched := d.watch(context.WithoutCancel(ctx), abort)
	d.addFailure(d.scenario(running))
	d.summarize(ctx)
	watched()
	stop()
	d.addFailure(f.stop())
	d.result.Failures = d.failures()
	return d.result, nil
}

// director runs the phases of a scenario and collects the result.
type director struct {
	options   Options
	plan      plan
	workers   *workerSet
	observe   observer
	clock     clock
	progress  func(Sample)
	startedAt time.Time
	// eventLines are the events that live marks; nil when there are none.
	eventLines *eventLines
	result     *Result
	// initialReading is the server's resource usage before the first client.
	initialReading *reading
	// runs counts runs of publications, so that each marks its messages with another number.
	runs           uint16
	connectLatency *hdrhistogram.Histogram
	// connectSeconds is the total time that connecting took.
	connectSeconds float64

	// mu guards the fields below.
	mu sync.Mutex
	// latency is the histogram of the current run.
	latency *hdrhistogram.Histogram
	// phase is the name of the current phase.
	phase string
	// last is the newest sum of the workers' reports.
	last Report
	// errs become the Failures of the result.
	errs []error
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

// checkServer reads the server's resource usage for the first time. It returns an *Error when that fails: then the
// flag names a wrong process or URL.
func (d *director) checkServer(ctx context.Context) error {
	if d.observe == nil {
		return nil
	}
	r, err := d.observe(ctx)
	if err != nil {
		flag, problem, _ := strings.Cut(strings.TrimPrefix(err.Error(), "--"), ": ")
		return &Error{Flag: flag, Problem: problem}
	}
	d.initialReading = &r
	return nil
}

func (d *director) addFailure(err error) {
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

// scenario runs the phases in their order.
func (d *director) scenario(ctx context.Context) error {
	o := &d.options
	if o.Scenario == Ramp {
		return d.ramp(ctx)
	}
	if _, err := d.connect(ctx, "connect", d.plan.allClients()); err != nil {
		return err
	}
	switch o.Scenario {
	case Idle:
		if err := d.wait(ctx, o.Warmup); err != nil {
			return err
		}
		return d.measurePhase(ctx, "hold", func() error { return d.wait(ctx, o.Hold) })
	case Storm:
		return d.storm(ctx)
	case Live:
		return d.live(ctx)
	case Fanout, Chat, Direct, Ramp:
	}
	var err error
	d.result.Publish, d.result.Delivery, err = d.run(ctx, "run")
	return err
}

// errAllDisconnected ends a run when no client is connected any more.
var errAllDisconnected = errors.New("no connection is left: the server closed them all")

// wait sleeps for a time. It returns errAllDisconnected when no client is connected any more.
func (d *director) wait(ctx context.Context, time time.Duration) error {
	return d.waitUntil(ctx, d.clock.now()+int64(time), nil)
}

// pollInterval is how often a wait checks its conditions.
const pollInterval = 20 * time.Millisecond

// waitUntil sleeps until a time of the shared clock, and returns early when ctx ends or done is closed. It returns
// errAllDisconnected when no client is connected any more.
func (d *director) waitUntil(ctx context.Context, until int64, done <-chan struct{}) error {
	for d.clock.until(until) > 0 {
		next := time.After(min(pollInterval, d.clock.until(until)))
		select {
		case <-ctx.Done():
			return nil
		case <-done:
			return nil
		case <-next:
		}
		if d.latestReport().Open == 0 {
			return errAllDisconnected
		}
	}
	return nil
}

func (d *director) latestReport() Report {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// measurePhase runs a phase and appends its time and resource usage to the result.
func (d *director) measurePhase(ctx context.Context, name string, run func() error) error {
	d.mu.Lock()
	d.phase = name
	d.mu.Unlock()
	// The server is read first and last: time and CPU time are of the same moments.
	before, started := d.readServer(ctx), time.Now()
	used := d.loadCPUSeconds()
	err := run()
	phase := Phase{Name: name, Seconds: time.Since(started).Seconds(), Server: between(before, d.readServer(ctx))}
	phase.LoadCPUSeconds = d.loadCPUSeconds() - used
	d.result.Phases = append(d.result.Phases, phase)
	return err
}

// loadCPUSeconds returns the CPU time that the workers have used.
func (d *director) loadCPUSeconds() float64 {
	r, err := d.report()
	d.addFailure(err)
	return r.CPUSeconds
}

// readServer reads the server's resource usage, also when ctx has ended. It returns nil when the server is not
// observed or cannot be read.
func (d *director) readServer(ctx context.Context) *reading {
	if d.observe == nil {
		return nil
	}
	r, err := d.observe(context.WithoutCancel(ctx))
	if err != nil {
		d.addFailure(fmt.Errorf("the server could not be observed to the end: %w", err))
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

// report fetches the reports of all workers and keeps their sum.
func (d *director) report() (Report, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum, recent, err := d.workers.report()
	d.latency.Merge(recent)
	d.last = sum
	return sum, err
}

// summarize fills in the parts of the result that are about the whole run.
func (d *director) summarize(ctx context.Context) {
	r, err := d.report()
	d.addFailure(err)
	d.result.Disconnects, d.result.LoadCPUSeconds = r.Disconnects, r.CPUSeconds
	d.result.Publish.Errors = r.PublishErrors
	d.result.Connect.Latency = summary(d.connectLatency)
	d.result.connectLatency, d.result.deliveryLatency = d.connectLatency, d.latency
	// Without a duration, live ends when the user ends it.
	d.result.Interrupted = ctx.Err() != nil && (d.options.Scenario != Live || d.options.Duration > 0)
	if c := d.result.Connect; c.Failed > 0 {
		d.addFailure(fmt.Errorf("%d clients could not connect: %s%s", c.Failed, listed(c.Errors), d.hint(c)))
	}
	if d.options.Scenario == Live {
		// What a changing fleet does to clients is the result.
		r.Disconnects, r.PublishErrors = nil, nil
	}
	if len(r.Disconnects) > 0 {
		d.addFailure(fmt.Errorf("connections ended that should not have: %s", listed(r.Disconnects)))
	}
	if len(r.PublishErrors) > 0 {
		d.addFailure(fmt.Errorf("publications failed: %s", listed(r.PublishErrors)))
	}
	if now := d.readServer(ctx); now != nil && d.initialReading != nil {
		d.result.Server = &ServerTotal{CPUSeconds: now.cpuSeconds - d.initialReading.cpuSeconds, RSSBytes: now.rssBytes}
	}
}

// hint returns advice for clients that were refused; empty when there is none.
func (d *director) hint(c Connect) string {
	if c.Errors[refusal(http.StatusServiceUnavailable)] == 0 || d.options.ConnectRate > 0 {
		return ""
	}
	return "; the server is full, or takes fewer connections a second: try --connect-rate"
}

// listed returns counts as text, the most frequent first.
func listed(counts map[string]int64) string {
	texts := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
	for i, text := range texts {
		texts[i] = fmt.Sprintf("%s (%d)", text, counts[text])
	}
	return strings.Join(texts, ", ")
}
