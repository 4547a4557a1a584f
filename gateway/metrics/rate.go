package metrics

import (
	"sync"
	"time"
)

// A rate is the average over rateBuckets buckets of rateBucket each: one minute.
const (
	rateBucket  = 5 * time.Second
	rateBuckets = 12
)

// rate counts events and returns how many there were per second in the last minute. It may be used by several
// goroutines at once.
type rate struct {
	// start is when the counting began, on the monotonic clock.
	start time.Time

	// mu guards the fields below.
	mu sync.Mutex
	// counts has the events of each bucket, at its number modulo rateBuckets.
	counts [rateBuckets]int
	// last is the number of the latest bucket, counted from start. All buckets before it are complete.
	last int64
}

func newRate() *rate { return &rate{start: time.Now()} }

// add counts one event.
func (r *rate) add() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance()
	r.counts[r.last%rateBuckets]++
}

// perSecond returns the number of events per second in the last minute, on average.
func (r *rate) perSecond() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.advance()
	sum := 0
	for _, count := range r.counts {
		sum += count
	}
	return float64(sum) / (rateBuckets * rateBucket).Seconds()
}

// advance empties the buckets that have become too old. The caller holds mu.
func (r *rate) advance() {
	now := int64(time.Since(r.start) / rateBucket)
	for range min(now-r.last, rateBuckets) {
		r.last++
		r.counts[r.last%rateBuckets] = 0
	}
	r.last = now
}
