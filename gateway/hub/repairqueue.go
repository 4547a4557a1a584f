package hub

import (
	"sync"
	"time"
)

// maxWorkers is the maximum number of jobs that run at once, so that a Redis that comes back is not overrun.
const maxWorkers = 32

// repairQueue runs the jobs that read streams in the background: repairs, checks, and the removal of epochs. It starts
// a worker when there is a job and fewer than maxWorkers run. A worker ends when there is no job.
type repairQueue struct {
	// mu guards the fields below.
	mu      sync.Mutex
	jobs    []func()
	workers int
	stopped bool

	running sync.WaitGroup
}

// enqueue adds a job and returns at once. It drops the job after stop.
func (q *repairQueue) enqueue(job func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped {
		return
	}
	q.jobs = append(q.jobs, job)
	if q.workers < maxWorkers {
		q.workers++
		q.running.Go(q.work)
	}
}

// enqueueAfter adds a job after a delay, and returns at once.
func (q *repairQueue) enqueueAfter(delay time.Duration, job func()) {
	time.AfterFunc(delay, func() { q.enqueue(job) })
}

// work runs jobs until there are none.
func (q *repairQueue) work() {
	for job := q.next(); job != nil; job = q.next() {
		job()
	}
}

// next takes the next job. It returns nil when there is none, and counts the worker as ended then.
func (q *repairQueue) next() func() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopped || len(q.jobs) == 0 {
		q.workers--
		return nil
	}
	job := q.jobs[0]
	q.jobs[0] = nil
	if q.jobs = q.jobs[1:]; len(q.jobs) == 0 {
		q.jobs = nil
	}
	return job
}

// stop drops the queued jobs and blocks until the running ones have ended.
func (q *repairQueue) stop() {
	q.mu.Lock()
	q.stopped, q.jobs = true, nil
	q.mu.Unlock()
	q.running.Wait()
}
