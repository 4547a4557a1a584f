package hub

import (
	"sync"
	"time"
)

// crew does what needs the broker besides deliveries: it repairs and checks streams, at most `hands`
// at once, so that a Redis that comes back can breathe. Nobody waits for it.
type crew struct {
	mu   sync.Mutex
	jobs []func()
	busy int
	gone bool
	work sync.WaitGroup
}

// hands is how many jobs run at once.
const hands = 32

// do queues a job. A crew that is gone does none.
func (c *crew) do(job func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.jobs = append(c.jobs, job)
	if c.busy < hands {
		c.busy++
		c.work.Go(c.run)
	}
}

// later queues a job after some time.
func (c *crew) later(wait time.Duration, job func()) {
	time.AfterFunc(wait, func() { c.do(job) })
}

func (c *crew) run() {
	for job := c.next(); job != nil; job = c.next() {
		job()
	}
}

// next is the next job, or nil when there is none: then there is a hand less.
func (c *crew) next() func() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone || len(c.jobs) == 0 {
		c.busy--
		return nil
	}
	job := c.jobs[0]
	c.jobs[0] = nil
	if c.jobs = c.jobs[1:]; len(c.jobs) == 0 {
		c.jobs = nil
	}
	return job
}

// stop forgets what is queued and waits for what is under way.
func (c *crew) stop() {
	c.mu.Lock()
	c.gone, c.jobs = true, nil
	c.mu.Unlock()
	c.work.Wait()
}
