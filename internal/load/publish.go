package load

import (
	"time"

	"github.com/gobwas/ws"
)

// RunArgs describe one run of publications. Times are nanoseconds of the shared clock.
type RunArgs struct {
	// Run marks the messages of this run.
	Run uint16
	// Start is when the first publication is due, From when measuring starts, To when both end.
	Start, From, To int64
	// Rate is in publications per second over all workers; 0 for a closed loop.
	Rate float64
	// Window is the number of publications in flight over all workers; 0 for an open loop.
	Window int
	// Subscribers is the number of subscribers of each channel over all workers.
	Subscribers []int
}

// RunReply is the outcome of Publish.
type RunReply struct {
	// Stalled is the number of publications of a closed loop that not all subscribers received within the timeout.
	Stalled int
	// Unsent is the number of publications of an open loop that were due and not sent within the timeout.
	Unsent int64
	// Skipped is the number of publications of live that were due while no publisher was connected.
	Skipped int64
}

// Prepare resets the counters for a new run, whose messages count from now on. The director prepares all workers
// before it calls Publish. publishers is set to the number of clients that can publish. It returns no error.
func (w *Worker) Prepare(args RunArgs, publishers *int) error {
	*publishers = len(w.publishers())
	if w.population != nil {
		// They come back, if they are away.
		*publishers = len(w.population.publishers())
	}
	for _, s := range w.shards {
		s.mu.Lock()
	}
	w.run, w.stopPublishing = args, make(chan struct{})
	w.window = newWindow(share(args.Window, w.index, w.plan.processes), w.owns)
	for _, s := range w.shards {
		s.reset()
	}
	w.mu.Lock()
	for _, c := range w.clients {
		c.resume.lastNumbers, c.number = nil, 0
		c.measuredFrom.Store(0)
	}
	w.mu.Unlock()
	for _, n := range []interface{ Store(int64) }{&w.sent, &w.acknowledged, &w.failed, &w.expected} {
		n.Store(0)
	}
	for _, s := range w.shards {
		s.mu.Unlock()
	}
	return nil
}

// share returns the part of n that a worker gets when n is split over all workers.
func share(n, index, parts int) int {
	if index < n%parts {
		return n/parts + 1
	}
	return n / parts
}

// Publish publishes until the run's time is over, and in a closed loop until all publications are delivered. It
// returns no error.
func (w *Worker) Publish(_ None, reply *RunReply) error {
	p := &publishers{worker: w, clients: w.publishers()}
	if w.population != nil {
		p.returning = w.population.publishers()
	}
	if len(p.clients)+len(p.returning) == 0 {
		return nil
	}
	if w.run.Window > 0 {
		reply.Stalled = p.closedLoop()
		return nil
	}
	reply.Unsent = p.openLoop()
	reply.Skipped = p.skipped
	return nil
}

// StopPublishing ends a run's publishing before its time. It returns no error.
func (w *Worker) StopPublishing(None, *None) error {
	close(w.stopPublishing)
	return nil
}

// publishers returns this worker's open clients that publish.
func (w *Worker) publishers() []*client {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*client
	for _, id := range w.ownedIn(w.plan.allClients()) {
		if c := w.clients[id]; c != nil && c.state.Load() == open && w.plan.publishes(id) {
			all = append(all, c)
		}
	}
	return all
}

// publishers publish in turn.
type publishers struct {
	worker  *Worker
	clients []*client
	next    int
	// returning are the ids of the publishers of live, which come back when they lose their connections.
	returning []int
	// skipped counts publications that were due while none of them was connected.
	skipped int64
	// message, data and frame are buffers that each publication reuses.
	message, frame, data []byte
}

// openLoop publishes at the rate. When it is late, it catches up. A message carries the time at which it was due, so
// the time that it waited for the server counts as latency. Messages that are still due when the timeout has passed
// after the end stay unsent.
func (p *publishers) openLoop() (unsent int64) {
	w, r := p.worker, &p.worker.run
	all := 0
	for process := range w.plan.processes {
		all += w.plan.publishers(process)
	}
	rate := r.Rate * float64(w.plan.publishers(w.index)) / float64(all)
	for k := 0; ; k++ {
		// The offset of the index keeps workers from publishing at the same moments.
		due := r.Start + int64((float64(k)/rate+float64(w.index)/r.Rate)*float64(time.Second))
		switch {
		case due >= r.To:
			return 0
		case w.clock.now() > r.To+int64(w.options.Timeout):
			return max(1, int64(time.Duration(r.To-due).Seconds()*rate))
		case !w.sleepExactly(due) || !p.publish(due):
			return 0
		}
	}
}

// sleepExactly sleeps until a time of the shared clock, with the precision of nanosleep. It returns false when the
// publishing has ended.
func (w *Worker) sleepExactly(until int64) bool {
	const coarse = 3 * time.Millisecond
	if w.clock.until(until) > coarse && !w.sleepUnless(until-int64(coarse)/2, w.stopPublishing) {
		return false
	}
	for d := w.clock.until(until); d > 0; d = w.clock.until(until) {
		nanosleep(d)
	}
	select {
	case <-w.stopPublishing:
		return false
	default:
		return w.ctx.Err() == nil
	}
}

// closedLoop publishes whenever a publication is complete, and returns the number of publications that never were.
func (p *publishers) closedLoop() (stalled int) {
	w, r := p.worker, &p.worker.run
	if !w.sleepExactly(r.Start) {
		return 0
	}
	timer := time.NewTimer(w.options.Timeout)
	defer timer.Stop()
	// waitForSlot waits until a publication is complete, and returns false after the timeout.
	waitForSlot := func() bool {
		select {
		case <-w.window.slots:
			return true
		default:
		}
		timer.Reset(w.options.Timeout)
		select {
		case <-w.window.slots:
			return true
		case <-w.ctx.Done():
		case <-timer.C:
		}
		return false
	}
	size := cap(w.window.slots)
	if size == 0 {
		return 0
	}
	for waitForSlot() {
		now := w.clock.now()
		if now >= r.To || !p.publish(now) {
			// The rest of the window is still in flight.
			for range size - 1 {
				if !waitForSlot() {
					break
				}
			}
			return w.window.inFlightCount()
		}
	}
	return w.window.inFlightCount()
}

// publish sends the next publisher's message. It returns false when no publisher is left.
func (p *publishers) publish(due int64) bool {
	w, r := p.worker, &p.worker.run
	if p.returning != nil {
		if c := p.nextConnected(); c != nil {
			p.send(w, r, c, due)
		} else {
			p.skipped++
		}
		return true
	}
	for len(p.clients) > 0 {
		p.next %= len(p.clients)
		c := p.clients[p.next]
		if c.state.Load() == open {
			p.next++
			p.send(w, r, c, due)
			return true
		}
		p.clients = append(p.clients[:p.next:p.next], p.clients[p.next+1:]...)
	}
	return false
}

// nextConnected returns the next of the publishers that come back; nil when none is connected.
func (p *publishers) nextConnected() *client {
	for range p.returning {
		p.next = (p.next + 1) % len(p.returning)
		if c := p.worker.population.connection(p.returning[p.next]); c != nil {
			return c
		}
	}
	return nil
}

// send sends one message of a client and counts it before.
func (p *publishers) send(w *Worker, r *RunArgs, c *client, due int64) {
	if c.number++; w.population != nil {
		c.number = w.population.nextNumber(c.id)
	}
	id := publication{uint32(c.id), c.number}
	measured := due >= r.From
	if measured && c.measuredFrom.Load() == 0 {
		c.measuredFrom.Store(c.number)
	}
	if r.Window > 0 {
		w.window.start(id, r.Subscribers[c.channel])
	}
	if measured {
		w.sent.Add(1)
		w.expected.Add(int64(r.Subscribers[c.channel]))
	}
	m := message{run: r.Run, publisher: id.Publisher, number: id.Number, time: due}
	p.message = m.appendTo(p.message[:0], w.options.MessageBytes)
	p.data = w.protocol.publishFrame(p.data[:0], w.plan.channelName(c.channel), id.Number, p.message)
	p.frame = maskedFrame(p.frame[:0], ws.OpText, p.data)
	if err := c.socket.write(p.frame); err != nil {
		w.publishFailed(c, id, measured, err)
	}
}

// publishAnswered handles the server's reply to a publication; failed is nil when the server accepted it.
func (w *Worker) publishAnswered(c *client, number uint32, failed error) {
	if failed == nil && w.population != nil {
		w.population.accepted(c.id, number)
	}
	from := c.measuredFrom.Load()
	measured := from > 0 && number >= from
	switch {
	case failed != nil:
		w.publishFailed(c, publication{uint32(c.id), number}, measured, failed)
	case measured:
		w.acknowledged.Add(1)
	}
}

// publishFailed counts a publication that was not sent or was refused, and expects no deliveries of it.
func (w *Worker) publishFailed(c *client, p publication, measured bool, reason error) {
	w.mu.Lock()
	w.publishErrors[errorText(reason)]++
	w.mu.Unlock()
	if measured {
		w.failed.Add(1)
		w.expected.Add(-int64(w.run.Subscribers[c.channel]))
	}
	w.window.cancel(p)
}

// remotePollTimeout is how long RemoteDeliveries waits for deliveries.
const remotePollTimeout = 100 * time.Millisecond

// RemoteDeliveries returns deliveries of other workers' publications as soon as there are some, or none after
// remotePollTimeout. It returns no error.
func (w *Worker) RemoteDeliveries(_ None, got *[]deliveryCount) error {
	select {
	case <-w.window.remoteReady:
		*got = w.window.takeRemote()
	case <-time.After(remotePollTimeout):
	}
	return nil
}

// AddDeliveries counts deliveries of this worker's publications to clients of other workers. It returns no error.
func (w *Worker) AddDeliveries(got []deliveryCount, _ *None) error {
	w.window.delivered(got)
	return nil
}
