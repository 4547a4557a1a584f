package load

import (
	"time"

	"github.com/gobwas/ws"
)

// RunArgs are one run of publications. Times are of the shared clock.
type RunArgs struct {
	// Run tells this run's messages from those of others.
	Run uint16
	// Publications are sent from Start to To, and measured when they are due from From on.
	Start, From, To int64
	// Rate is in publications a second of all workers, Window the publications in flight of all.
	Rate   float64
	Window int
	// Subscribers of each channel, in all workers.
	Subscribers []int
}

// RunReply is how it ended.
type RunReply struct {
	// Stalled is how many publications a closed loop waited for in vain.
	Stalled int
	// Unsent is how many publications of an open loop were due and not sent within the timeout.
	Unsent int64
}

// Prepare begins a run: from here on its messages count. All workers do so before anyone publishes.
// It returns how many clients can publish.
func (w *Worker) Prepare(args RunArgs, publishers *int) error {
	*publishers = len(w.publishers())
	for _, s := range w.shards {
		s.mu.Lock()
	}
	w.current, w.enough = args, make(chan struct{})
	w.window = newWindow(share(args.Window, w.index, w.plan.processes), w.ours)
	for _, s := range w.shards {
		s.restart()
	}
	w.mu.Lock()
	for _, c := range w.clients {
		c.past.last, c.number = nil, 0
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

// share is a worker's part of a number that cannot be split evenly.
func share(n, index, parts int) int {
	if index < n%parts {
		return n/parts + 1
	}
	return n / parts
}

// Publish publishes until the run's time is over, and in a closed loop until all is delivered.
func (w *Worker) Publish(_ None, reply *RunReply) error {
	p := &publishers{worker: w, clients: w.publishers()}
	if len(p.clients) == 0 {
		return nil
	}
	if w.current.Window > 0 {
		reply.Stalled = p.closedLoop()
		return nil
	}
	reply.Unsent = p.openLoop()
	return nil
}

// Enough ends a run's publishing before its time.
func (w *Worker) Enough(None, *None) error {
	close(w.enough)
	return nil
}

// publishers are this worker's that are connected.
func (w *Worker) publishers() []*client {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []*client
	for _, id := range w.mine(w.plan.everyone()) {
		if c := w.clients[id]; c != nil && c.state.Load() == open && w.plan.publishes(id) {
			all = append(all, c)
		}
	}
	return all
}

// publishers take turns.
type publishers struct {
	worker  *Worker
	clients []*client
	turn    int
	// message and frame are written into again and again.
	message, frame, data []byte
}

// openLoop publishes when the rate says so. Who is behind catches up: a message's time stays the one
// that it was due at, so what the server did not take in time counts as latency. Who cannot catch up leaves the
// rest unsent.
func (p *publishers) openLoop() (unsent int64) {
	w, r := p.worker, &p.worker.current
	all := 0
	for process := range w.plan.processes {
		all += w.plan.publishers(process)
	}
	rate := r.Rate * float64(w.plan.publishers(w.index)) / float64(all)
	for k := 0; ; k++ {
		// Workers do not publish at the same moments.
		due := r.Start + int64((float64(k)/rate+float64(w.index)/r.Rate)*float64(time.Second))
		switch {
		case due >= r.To:
			return 0
		case w.clock.now() > r.To+int64(w.options.Timeout):
			return max(1, int64(time.Duration(r.To-due).Seconds()*rate))
		case !w.await(due) || !p.publish(due):
			return 0
		}
	}
}

// await is sleep, but exact.
func (w *Worker) await(until int64) bool {
	const coarse = 3 * time.Millisecond
	if w.clock.until(until) > coarse && !w.sleepUnless(until-int64(coarse)/2, w.enough) {
		return false
	}
	for d := w.clock.until(until); d > 0; d = w.clock.until(until) {
		pause(d)
	}
	select {
	case <-w.enough:
		return false
	default:
		return w.ctx.Err() == nil
	}
}

// closedLoop publishes whenever a publication is done, and returns how many never were.
func (p *publishers) closedLoop() (stalled int) {
	w, r := p.worker, &p.worker.current
	if !w.await(r.Start) {
		return 0
	}
	patience := time.NewTimer(w.options.Timeout)
	defer patience.Stop()
	// next waits for a publication to be done.
	next := func() bool {
		select {
		case <-w.window.free:
			return true
		default:
		}
		patience.Reset(w.options.Timeout)
		select {
		case <-w.window.free:
			return true
		case <-w.ctx.Done():
		case <-patience.C:
		}
		return false
	}
	size := cap(w.window.free)
	if size == 0 {
		return 0
	}
	for next() {
		now := w.clock.now()
		if now >= r.To || !p.publish(now) {
			// The rest of the window is still in flight.
			for range size - 1 {
				if !next() {
					break
				}
			}
			return w.window.inFlight()
		}
	}
	return w.window.inFlight()
}

// publish sends the next publisher's message; false when no publisher is left.
func (p *publishers) publish(due int64) bool {
	w, r := p.worker, &p.worker.current
	for len(p.clients) > 0 {
		p.turn %= len(p.clients)
		c := p.clients[p.turn]
		if c.state.Load() == open {
			p.turn++
			p.send(w, r, c, due)
			return true
		}
		p.clients = append(p.clients[:p.turn:p.turn], p.clients[p.turn+1:]...)
	}
	return false
}

func (p *publishers) send(w *Worker, r *RunArgs, c *client, due int64) {
	c.number++
	this := publication{uint32(c.id), c.number}
	measured := due >= r.From
	if measured && c.measuredFrom.Load() == 0 {
		c.measuredFrom.Store(c.number)
	}
	if r.Window > 0 {
		w.window.fly(this, r.Subscribers[c.channel])
	}
	if measured {
		w.sent.Add(1)
		w.expected.Add(int64(r.Subscribers[c.channel]))
	}
	m := message{run: r.Run, publisher: this.Publisher, number: this.Number, time: due}
	p.message = m.appendTo(p.message[:0], w.options.MessageBytes)
	p.data = w.dialect.publication(p.data[:0], w.plan.channelName(c.channel), this.Number, p.message)
	p.frame = maskedFrame(p.frame[:0], ws.OpText, p.data)
	if err := c.wire.write(p.frame); err != nil {
		w.unpublished(c, this, measured, err)
	}
}

// answered is the server's answer to a publication.
func (w *Worker) answered(c *client, number uint32, failed error) {
	from := c.measuredFrom.Load()
	measured := from > 0 && number >= from
	switch {
	case failed != nil:
		w.unpublished(c, publication{uint32(c.id), number}, measured, failed)
	case measured:
		w.acknowledged.Add(1)
	}
}

// unpublished is a publication that nobody will get.
func (w *Worker) unpublished(c *client, p publication, measured bool, reason error) {
	w.mu.Lock()
	w.publishErrors[errorText(reason)]++
	w.mu.Unlock()
	if measured {
		w.failed.Add(1)
		w.expected.Add(-int64(w.current.Subscribers[c.channel]))
	}
	w.window.cancel(p)
}

// awayPatience is how long Away waits for something to tell.
const awayPatience = 100 * time.Millisecond

// Away returns deliveries of publications that other workers wait for, as soon as there are some.
func (w *Worker) Away(_ None, got *[]gotten) error {
	select {
	case <-w.window.awake:
		*got = w.window.takeAway()
	case <-time.After(awayPatience):
	}
	return nil
}

// Credit tells of deliveries that other workers saw.
func (w *Worker) Credit(got []gotten, _ *None) error {
	w.window.delivered(got)
	return nil
}
