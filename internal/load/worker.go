package load

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// Worker is the clients of one process. Its methods are called by the director, over net/rpc.
type Worker struct {
	options Options
	plan    plan
	index   int
	clock   clock
	dialect dialect
	url     url.URL
	shards  []*shard
	wires   []wires

	ctx    context.Context //nolint:containedctx // a call over net/rpc has none of its own
	cancel context.CancelFunc

	// current, window and what a run counts are written with all shards locked, when nobody publishes.
	current RunArgs
	window  *window
	// enough ends the publishing of the run.
	enough chan struct{}

	sent, acknowledged, failed, expected atomic.Int64

	mu      sync.Mutex
	clients map[int]*client
	// pasts are those of clients that recover, also while they are cut.
	pasts         map[int]*past
	disconnects   map[string]int64
	publishErrors map[string]int64
}

// Assignment is what a worker is told first.
type Assignment struct {
	Options          Options
	Index, Processes int
}

// None is a call's argument or answer where there is nothing to say.
type None struct{}

// Assign prepares the worker.
func (w *Worker) Assign(a Assignment, _ *None) error {
	if err := w.learn(a); err != nil {
		return err
	}
	for range runtime.GOMAXPROCS(0) {
		s := newShard(w)
		wires, err := newWires(s)
		if err != nil {
			return err
		}
		w.shards, w.wires = append(w.shards, s), append(w.wires, wires)
	}
	return nil
}

// learn sets what follows from the assignment alone.
func (w *Worker) learn(a Assignment) error {
	u, err := url.Parse(a.Options.URL)
	if err != nil {
		return fmt.Errorf("URL: %w", err)
	}
	w.options, w.index, w.url, w.clock = a.Options, a.Index, *u, newClock()
	w.plan, w.dialect = newPlan(&a.Options, a.Processes), newDialect(a.Options.Protocol)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.clients, w.disconnects, w.publishErrors = map[int]*client{}, map[string]int64{}, map[string]int64{}
	w.pasts, w.enough = map[int]*past{}, make(chan struct{})
	w.window = newWindow(0, w.ours)
	return nil
}

func (w *Worker) ours(client int) bool { return w.plan.process(client) == w.index }

// mine are this worker's of a range of clients.
func (w *Worker) mine(r Range) []int {
	var ids []int
	for id := r.From; id < r.To; id++ {
		if w.ours(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Cancel ends what the worker is doing; calls return early with what there is.
func (w *Worker) Cancel(None, *None) error {
	w.cancel()
	return nil
}

// Range is some of the clients: from From up to but not including To.
type Range struct{ From, To int }

// Drop cuts clients without a close frame, as a network does.
func (w *Worker) Drop(r Range, _ *None) error {
	for _, id := range w.mine(r) {
		if c := w.forget(id); c != nil {
			c.shard.drop(c, nil)
		}
	}
	return nil
}

// Close says goodbye to the server and ends the worker.
func (w *Worker) Close(None, *None) error {
	w.cancel()
	goodbye := maskedFrame(nil, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
	for _, id := range w.mine(w.plan.everyone()) {
		if c := w.forget(id); c != nil {
			c.shard.drop(c, goodbye)
		}
	}
	for _, wires := range w.wires {
		wires.stop()
	}
	return nil
}

// Subscribers counts the open clients of each channel.
func (w *Worker) Subscribers(_ None, channels *[]int) error {
	*channels = make([]int, w.plan.channels)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		if c.state.Load() == open {
			(*channels)[c.channel]++
		}
	}
	return nil
}

// adopt gives a connection to its shard.
func (w *Worker) adopt(id int, conn net.Conn, early []byte) (*client, error) {
	s := w.shards[id/w.plan.processes%len(w.shards)]
	c := &client{id: id, channel: w.plan.channel(id), shard: s, ready: make(chan error, 1), past: w.past(id)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := w.wires[id/w.plan.processes%len(w.shards)].add(c, conn); err != nil {
		return nil, err
	}
	if len(early) > 0 {
		s.read(c, early, w.clock.now())
	}
	return c, nil
}

// past is what a client has of the time before it was cut.
func (w *Worker) past(id int) *past {
	if !w.options.Recover {
		return &past{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.pasts[id] == nil {
		w.pasts[id] = &past{kept: true}
	}
	return w.pasts[id]
}

func (w *Worker) remember(c *client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clients[c.id] = c
}

func (w *Worker) forget(id int) *client {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clients[id]
	delete(w.clients, id)
	return c
}

func (w *Worker) disconnected(reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disconnects[errorText(reason)]++
}
