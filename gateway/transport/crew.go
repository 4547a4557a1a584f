package transport

import "sync/atomic"

// crew works off the loop: handshakes and messages. Some of its goroutines stay for what comes next:
// their stacks have grown to what handlers need, and for a new goroutine that would be a tenth of the
// work.
type crew struct {
	jobs  chan job
	spare atomic.Int32
	done  chan struct{}
}

// job is something that may take its time.
type job interface{ work() }

// mostSpare is how many goroutines stay without a job.
const mostSpare = 64

func newCrew() *crew { return &crew{jobs: make(chan job), done: make(chan struct{})} }

// take begins a job and returns at once.
func (w *crew) take(j job) {
	select {
	case w.jobs <- j:
	default:
		go w.run(j)
	}
}

// run does one job after another, until enough others are there for the next.
func (w *crew) run(j job) {
	for {
		j.work()
		if w.spare.Add(1) > mostSpare {
			w.spare.Add(-1)
			return
		}
		select {
		case j = <-w.jobs:
			w.spare.Add(-1)
		case <-w.done:
			return
		}
	}
}

// close lets those go who have no job.
func (w *crew) close() { close(w.done) }
