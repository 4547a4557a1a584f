package transport

import "sync/atomic"

// workerPool runs handshakes and message handlers, which may block, outside the event loop. It keeps some
// idle goroutines for the next jobs: their stacks have already grown to what handlers need, and growing a
// new one is a tenth of the work.
type workerPool struct {
	jobs chan job
	// idle counts the goroutines that wait for a job.
	idle atomic.Int32
	done chan struct{}
}

// job is work that may block.
type job interface{ run() }

// maxIdleWorkers is the maximum number of idle goroutines.
const maxIdleWorkers = 64

func newWorkerPool() *workerPool {
	return &workerPool{jobs: make(chan job), done: make(chan struct{})}
}

// start runs a job in an idle or a new goroutine, and returns at once.
func (p *workerPool) start(j job) {
	select {
	case p.jobs <- j:
	default:
		go p.work(j)
	}
}

// work runs one job after the other. It returns when enough goroutines are idle already.
func (p *workerPool) work(j job) {
	for {
		j.run()
		if p.idle.Add(1) > maxIdleWorkers {
			p.idle.Add(-1)
			return
		}
		select {
		case j = <-p.jobs:
			p.idle.Add(-1)
		case <-p.done:
			return
		}
	}
}

// close ends the idle goroutines, and each other one after its job.
func (p *workerPool) close() { close(p.done) }
