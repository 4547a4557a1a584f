package heap

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// interval is the time between two looks at the heap.
	interval = 10 * time.Second
	// minRelease is the least that is worth a collection, in bytes.
	minRelease = 4 << 20
	// busyShare and releaseShare are parts of the memory in use: a process that allocates as much as the first in an
	// interval is busy, and less than the second is not worth a collection.
	busyShare    = 64
	releaseShare = 4
)

// Run paces collections and releases memory until ctx ends. There should be one Run in a process. A GOGC of the
// environment decides the pace, if there is one, and a GOMEMLIMIT holds in any case.
func Run(ctx context.Context) {
	pace(ctx)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	r := releaser{before: read(), owed: true}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if r.releases(read()) {
				debug.FreeOSMemory()
				r.before = read()
			}
		}
	}
}

// sample is the state of the heap, in bytes.
type sample struct {
	// allocated is what was allocated since the process began.
	allocated uint64
	// inUse is what the latest collection found in use.
	inUse uint64
	// objects is the size of all objects, garbage included.
	objects uint64
	// unused is what the heap holds and the system could have.
	unused uint64
}

// releaser decides when to collect and release.
type releaser struct {
	// before is the latest sample.
	before sample
	// owed reports that the process was busy since the last release: what is in use may have become less, which only a
	// collection shows.
	owed bool
}

// releases reports whether to release now: the process is quiet, and a collection is worth its cost, which grows with
// what is in use.
func (r *releaser) releases(now sample) bool {
	allocated := now.allocated - r.before.allocated
	r.before = now
	if allocated >= max(minRelease, now.inUse/busyShare) {
		r.owed = true
		return false
	}
	garbage := now.objects - min(now.objects, now.inUse)
	if !r.owed && garbage+now.unused < max(minRelease, now.inUse/releaseShare) {
		return false
	}
	r.owed = false
	return true
}

// read reads the state of the heap.
func read() sample {
	values := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
	}
	metrics.Read(values)
	return sample{
		allocated: values[0].Value.Uint64(),
		inUse:     values[1].Value.Uint64(),
		objects:   values[2].Value.Uint64(),
		unused:    values[3].Value.Uint64(),
	}
}
