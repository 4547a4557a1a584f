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

// Worker owns the clients of one process. The director calls its exported methods over net/rpc.
type Worker struct {
	options  Options
	plan     plan
	index    int
	clock    clock
	protocol protocolClient
	url      url.URL
	shards   []*shard
	sockets  []shardSockets

	ctx    context.Context //nolint:containedctx // a call over net/rpc has none of its own
	cancel context.CancelFunc

	// population holds the clients of live; nil in other scenarios.
	population *population

	// run describes the current run of publications. It is written with all shards locked and while no goroutine
	// publishes, and so are window and the counters.
	run RunArgs
	// window bounds the publications in flight of a closed loop.
	window *window
	// stopPublishing is closed to end the run's publishing before its time.
	stopPublishing chan struct{}

	sent, acknowledged, failed, expected atomic.Int64

	// mu guards the fields below.
	mu      sync.Mutex
	clients map[int]*client
	// resumeStates are kept by client id, also while a client is disconnected. It is empty unless clients recover or stay
	// on a changing fleet.
	resumeStates  map[int]*resumeState
	disconnects   map[string]int64
	publishErrors map[string]int64
}

// Assignment is the argument of the first call to a worker: the run's options and which part of the clients it owns.
type Assignment struct {
	Options          Options
	Index, Processes int
}

// None is the argument or the reply of a call that has none.
type None struct{}

// Assign prepares the worker for the run that a describes. It returns an error when the URL cannot be parsed or a
// poller cannot be created.
func (w *Worker) Assign(a Assignment, _ *None) error {
	if err := w.configure(a); err != nil {
		return err
	}
	for range runtime.GOMAXPROCS(0) {
		s := newShard(w)
		wires, err := newShardSockets(s)
		if err != nil {
			return err
		}
		w.shards, w.sockets = append(w.shards, s), append(w.sockets, wires)
	}
	if w.population != nil {
		w.population.start()
	}
	return nil
}

// configure sets the fields that follow from the assignment alone.
func (w *Worker) configure(a Assignment) error {
	u, err := url.Parse(a.Options.URL)
	if err != nil {
		return fmt.Errorf("URL: %w", err)
	}
	w.options, w.index, w.url, w.clock = a.Options, a.Index, *u, newClock()
	w.plan, w.protocol = newPlan(&a.Options, a.Processes), newProtocolClient(a.Options)
	w.ctx, w.cancel = context.WithCancel(context.Background())
	w.clients, w.disconnects, w.publishErrors = map[int]*client{}, map[string]int64{}, map[string]int64{}
	w.resumeStates, w.stopPublishing = map[int]*resumeState{}, make(chan struct{})
	w.window = newWindow(0, w.owns)
	if a.Options.Scenario == Live {
		w.population = newPopulation(w)
	}
	return nil
}

// owns reports whether a client lives in this worker.
func (w *Worker) owns(client int) bool { return w.plan.process(client) == w.index }

// ownedIn returns the ids of this worker's clients in a range.
func (w *Worker) ownedIn(r Range) []int {
	var ids []int
	for id := r.From; id < r.To; id++ {
		if w.owns(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// Cancel makes the calls that are under way return early with partial results. It returns no error.
func (w *Worker) Cancel(None, *None) error {
	w.cancel()
	return nil
}

// Range is a range of client ids from From up to but not including To.
type Range struct{ From, To int }

// Drop closes the connections of clients without a close frame, as a broken network does. It returns no error.
func (w *Worker) Drop(r Range, _ *None) error {
	for _, id := range w.ownedIn(r) {
		if c := w.unregister(id); c != nil {
			c.shard.drop(c, nil)
		}
	}
	return nil
}

// Close sends a close frame on every open connection, closes them all and stops the worker. It returns no error.
func (w *Worker) Close(None, *None) error {
	w.cancel()
	if w.population != nil {
		w.population.stop()
	}
	closeFrame := maskedFrame(nil, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))
	for _, id := range w.ownedIn(w.plan.allClients()) {
		if c := w.unregister(id); c != nil {
			c.shard.drop(c, closeFrame)
		}
	}
	for _, wires := range w.sockets {
		wires.stop()
	}
	return nil
}

// Subscribers counts this worker's open clients by channel. It returns no error.
func (w *Worker) Subscribers(_ None, channels *[]int) error {
	*channels = make([]int, w.plan.channels)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.clients {
		if c.state.Load() == open {
			for _, channel := range w.plan.subscribed(c.id) {
				(*channels)[channel]++
			}
		}
	}
	return nil
}

// addClient makes the client of a connection and adds it to its shard. afterHandshake is what the server sent right
// behind its handshake, afterConnect what the client sends once connect is answered.
func (w *Worker) addClient(id int, conn net.Conn, afterHandshake, afterConnect []byte) (*client, error) {
	s := w.shardOf(id)
	c := &client{
		id:           id,
		channel:      w.plan.channel(id),
		shard:        s,
		protocol:     w.protocolOf(id),
		ready:        make(chan error, 1),
		resume:       w.resumeState(id),
		lastRead:     w.clock.now(),
		afterConnect: afterConnect,
		unsubscribed: w.plan.subscriptions,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := w.sockets[id/w.plan.processes%len(w.shards)].add(c, conn); err != nil {
		return nil, err
	}
	if len(afterHandshake) > 0 {
		s.read(c, afterHandshake, w.clock.now())
	}
	return c, nil
}

// shardOf returns the shard of a client.
func (w *Worker) shardOf(id int) *shard { return w.shards[id/w.plan.processes%len(w.shards)] }

// protocolOf returns the protocol of a client.
func (w *Worker) protocolOf(id int) protocolClient {
	if group := w.plan.group(id); group >= 0 && w.options.Groups[group].Plain {
		return plain{}
	}
	return w.protocol
}

// resumeState returns what a client keeps across reconnects.
func (w *Worker) resumeState(id int) *resumeState {
	group := w.plan.group(id)
	if !w.options.Recover && group < 0 {
		return &resumeState{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.resumeStates[id] == nil {
		w.resumeStates[id] = newResumeState(w.plan.subscriptions)
		if group >= 0 && w.options.Groups[group].Plain {
			w.resumeStates[id] = &resumeState{}
		}
	}
	return w.resumeStates[id]
}

// register keeps a client whose subscription is there.
func (w *Worker) register(c *client) {
	w.mu.Lock()
	w.clients[c.id] = c
	w.mu.Unlock()
	if w.population != nil {
		w.population.connected(c)
	}
}

// unregister removes a client and returns it; nil when there is none with this id.
func (w *Worker) unregister(id int) *client {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clients[id]
	delete(w.clients, id)
	return c
}

// countDisconnect counts a connection that this worker did not end.
func (w *Worker) countDisconnect(reason error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disconnects[errorText(reason)]++
}
