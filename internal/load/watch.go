package load

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// report asks all workers and adds up; recent are the latencies since the last time.
func (f *fleet) report() (sum Report, recent *hdrhistogram.Histogram, err error) {
	replies, err := collect[None, Report](f, "Report", same(None{}))
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
		sum.CPUSeconds += r.CPUSeconds
		maps.Copy(sum.Disconnects, added(sum.Disconnects, r.Disconnects))
		maps.Copy(sum.PublishErrors, added(sum.PublishErrors, r.PublishErrors))
		err = errors.Join(err, merge(recent, r.Latency))
	}
	return sum, recent, err
}

// cancel ends what the workers are doing.
func (f *fleet) cancel() error {
	_, err := collect[None, None](f, "Cancel", same(None{}))
	return err
}

// sampleInterval is how often a run is looked at.
const sampleInterval = time.Second

// watch takes samples until the returned function is called. When a worker is lost, it aborts the run.
func (d *director) watch(ctx context.Context, abort func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(sampleInterval)
		defer ticker.Stop()
		w := watcher{director: d, at: time.Now(), server: d.first}
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if err := w.sample(ctx); err != nil {
					d.fail(err)
					abort()
					return
				}
			}
		}
	}()
	return func() { cancel(); <-done }
}

// watcher knows the sample before, to tell rates.
type watcher struct {
	director *director
	at       time.Time
	before   Report
	server   *reading
}

func (w *watcher) sample(ctx context.Context) error {
	d := w.director
	d.mu.Lock()
	sum, recent, err := d.fleet.report()
	if err != nil {
		d.mu.Unlock()
		return err
	}
	d.latency.Merge(recent)
	d.last = sum
	phase := d.phase
	d.mu.Unlock()

	now := time.Now()
	passed := now.Sub(w.at).Seconds()
	// A new run counts from zero again.
	rate := func(now, before int64) float64 {
		if now < before {
			before = 0
		}
		return float64(now-before) / passed
	}
	l := summary(recent)
	s := Sample{
		Seconds: now.Sub(d.began).Seconds(), Phase: phase, Connected: sum.Open, P50: l.P50, P99: l.P99,
		PublishedPerSecond: rate(sum.Sent, w.before.Sent), DeliveriesPerSecond: rate(sum.Received, w.before.Received),
	}
	if d.observe != nil {
		if r, err := d.observe(ctx); err == nil {
			s.ServerRSSBytes = r.rssBytes
			if w.server != nil {
				s.ServerCPU = (r.cpuSeconds - w.server.cpuSeconds) / passed
			}
			w.server = &r
		}
	}
	w.at, w.before = now, sum
	d.result.Samples = append(d.result.Samples, s)
	if d.progress != nil {
		d.progress(s)
	}
	return nil
}
