package load

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report fetches the reports of all workers and returns their sum. recent holds the latencies since the last report.
func (f *workerSet) report() (sum Report, recent *hdrhistogram.Histogram, err error) {
	replies, err := callEach[None, Report](f, "Report", sameArgs(None{}))
	recent = newHistogram()
	sum.Disconnects, sum.PublishErrors = map[string]int64{}, map[string]int64{}
	for _, r := range replies {
		sum.Open += r.Open
		sum.Sent += r.Sent
		sum.Acknowledged += r.Acknowledged
		sum.Failed += r.Failed
		sum.Expected += r.Expected
		sum.Received += r.Received
		sum.Duplicated += r.Duplicated
		sum.Reordered += r.Reordered
		sum.Arrived += r.Arrived
		sum.ConnectionsLost += r.ConnectionsLost
		sum.Returns += r.Returns
		sum.Refused += r.Refused
		sum.Away += r.Away
		sum.CPUSeconds += r.CPUSeconds
		maps.Copy(sum.Disconnects, added(sum.Disconnects, r.Disconnects))
		maps.Copy(sum.PublishErrors, added(sum.PublishErrors, r.PublishErrors))
		err = errors.Join(err, merge(recent, r.Latency))
	}
	return sum, recent, err
}

// cancel cancels the calls that are under way in all workers.
func (f *workerSet) cancel() error {
	_, err := callEach[None, None](f, "Cancel", sameArgs(None{}))
	return err
}

// sampleInterval is the time between two samples.
const sampleInterval = time.Second

// watch takes samples until the returned function is called. When a worker does not answer, it calls abort.
func (d *director) watch(ctx context.Context, abort func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(sampleInterval)
		defer ticker.Stop()
		w := watcher{director: d, previousAt: time.Now(), previousServer: d.initialReading}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := w.sample(ctx); err != nil {
					d.addFailure(err)
					abort()
					return
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// watcher keeps the previous sample, to compute rates.
type watcher struct {
	director       *director
	previousAt     time.Time
	previous       Report
	previousServer *reading
}

func (w *watcher) sample(ctx context.Context) error {
	d := w.director
	d.mu.Lock()
	sum, recent, err := d.workers.report()
	if err != nil {
		d.mu.Unlock()
		return err
	}
	d.latency.Merge(recent)
	d.last = sum
	phase := d.phase
	d.mu.Unlock()

	now := time.Now()
	passed := now.Sub(w.previousAt).Seconds()
	// The counters start from zero with each run.
	rate := func(now, before int64) float64 {
		if now < before {
			before = 0
		}
		return float64(now-before) / passed
	}
	l := summary(recent)
	s := Sample{
		Seconds: now.Sub(d.startedAt).Seconds(), Phase: phase, Connected: sum.Open, P50: l.P50, P99: l.P99,
		PublishedPerSecond: rate(sum.Sent, w.previous.Sent), DeliveriesPerSecond: rate(sum.Received, w.previous.Received),
		Away: sum.Away, LostPerSecond: rate(sum.ConnectionsLost, w.previous.ConnectionsLost),
		ReturnsPerSecond: rate(sum.Returns, w.previous.Returns), RefusedPerSecond: rate(sum.Refused, w.previous.Refused),
	}
	if d.observe != nil {
		if r, err := d.observe(ctx); err == nil {
			s.ServerRSSBytes = r.rssBytes
			if w.previousServer != nil {
				s.ServerCPU = (r.cpuSeconds - w.previousServer.cpuSeconds) / passed
			}
			w.previousServer = &r
		}
	}
	w.previousAt, w.previous = now, sum
	d.result.Samples = append(d.result.Samples, s)
	if d.progress != nil {
		d.progress(s)
	}
	return nil
}
