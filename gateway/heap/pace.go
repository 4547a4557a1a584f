// Package heap decides when the process collects garbage, and when it gives memory back to the system. A gateway has
// waves of work between long quiet times: a small heap should not be collected many times a second in a wave, and what
// a wave leaves behind should not stay resident until the next one.
package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
)

const (
	// slack is how much garbage a heap may hold before it is collected, however little of it is in use.
	slack = 16 << 20
	// usualPercent is Go's default of GOGC: garbage as large as what is in use.
	usualPercent = 100
	// maxPercent bounds what a collection of an almost empty heap sets.
	maxPercent = 800
)

// percent returns the value of GOGC with which a heap holds as much garbage as is in use, and slack at least.
func percent(inUse uint64) int {
	if inUse == 0 {
		return maxPercent
	}
	return int(min(maxPercent, max(usualPercent, slack*usualPercent/inUse)))
}

// pacer sets the percentage after each collection, so that it is that of a smaller heap for one cycle at most.
type pacer struct {
	mu      sync.Mutex
	current int
	stopped bool
}

// pace begins to set the percentage, until ctx ends. It leaves a GOGC of the environment alone.
func pace(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pacer{current: usualPercent}
	p.collected()
	context.AfterFunc(ctx, p.stop)
}

// mark is unreachable from its beginning, so that the next collection finalizes it.
type mark struct{ pacer *pacer }

// collected sets the percentage and waits for the next collection.
func (p *pacer) collected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return
	}
	if next := percent(read().inUse); next != p.current {
		p.current = next
		debug.SetGCPercent(next)
	}
	runtime.SetFinalizer(&mark{p}, func(m *mark) { m.pacer.collected() })
}

// stop restores Go's default.
func (p *pacer) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	debug.SetGCPercent(usualPercent)
}
