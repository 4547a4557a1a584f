package load

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// population holds the clients of live that a worker owns, and counts what happens to them. A client that loses its
// connection comes back in a goroutine of its own.
type population struct {
	worker *Worker
	// goroutines are those of clients that are away, and the one that looks for silent servers.
	goroutines sync.WaitGroup

	// mu guards the fields below. It is taken behind the worker's and the shards' locks.
	mu sync.Mutex
	// stopped is set when no client may come back any more.
	stopped bool
	members map[int]*member
	// lostEarly holds the connections that ended before connected was called with them, and why.
	lostEarly map[*client]error
	// intervals are the counts between two events, by the groups.
	intervals [][]GroupCounts
	// connectionsLost, returns and refused are totals, away is the number of clients that are away now. Publishers are not
	// in them.
	connectionsLost, returns, refused, away int64
	publisherConnectionsLost                int64
}

// member is a client of live across its connections.
type member struct {
	// connection is nil while the client is away.
	connection *client
	// lostAt is when the last connection ended, by the shared clock.
	lostAt                time.Duration
	timesAway             int64
	gone                  bool
	duplicated, reordered int64

	// number is the last number of a publisher's messages. unaccepted are the numbers that the server has not
	// acknowledged.
	number     uint32
	unaccepted map[uint32]struct{}
}

// GroupCounts is what happened to the clients of a group between two events.
type GroupCounts struct {
	// ConnectionsLost and Refused are by reason.
	ConnectionsLost, Refused map[string]int64
	// Away are the times that the clients were away that came back.
	Away []time.Duration
	// ReturnsPerSecond are by the second since 1970.
	ReturnsPerSecond map[int64]int64
	// Unrecovered counts returns with the answer that publications are missing, Gone clients that stay away for good.
	Unrecovered, Gone     int64
	Duplicated, Reordered int64
}

// clone returns a copy that does not change when the counts do.
func (c GroupCounts) clone() GroupCounts {
	c.ConnectionsLost, c.Refused = maps.Clone(c.ConnectionsLost), maps.Clone(c.Refused)
	c.Away, c.ReturnsPerSecond = slices.Clone(c.Away), maps.Clone(c.ReturnsPerSecond)
	return c
}

func newPopulation(w *Worker) *population {
	p := &population{worker: w, members: map[int]*member{}, lostEarly: map[*client]error{}}
	p.beginInterval()
	return p
}

// start starts to look for servers that have become silent.
func (p *population) start() { p.goroutines.Go(p.watchSilence) }

// stop keeps clients from coming back, and waits for those that were about to. The caller has cancelled the worker.
func (p *population) stop() {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	p.goroutines.Wait()
}

// beginInterval begins to count anew. The caller holds mu, or has not shared p yet.
func (p *population) beginInterval() {
	counts := make([]GroupCounts, len(p.worker.plan.groups))
	for i := range counts {
		counts[i] = GroupCounts{
			ConnectionsLost:  map[string]int64{},
			Refused:          map[string]int64{},
			ReturnsPerSecond: map[int64]int64{},
		}
	}
	p.intervals = append(p.intervals, counts)
}

// counts returns the counts of a client's group in the current interval; nil for a publisher. The caller holds mu.
func (p *population) counts(id int) *GroupCounts {
	group := p.worker.plan.group(id)
	if group < 0 {
		return nil
	}
	return &p.intervals[len(p.intervals)-1][group]
}

// connected notes that a client has subscribed, for the first time or again.
func (p *population) connected(c *client) {
	now := time.Duration(p.worker.clock.now())
	p.mu.Lock()
	defer p.mu.Unlock()
	m, again := p.members[c.id]
	if !again {
		m = &member{unaccepted: map[uint32]struct{}{}}
		p.members[c.id] = m
	}
	m.connection = c
	if counts := p.counts(c.id); again && counts != nil {
		p.returns++
		p.away--
		counts.Away = append(counts.Away, now-m.lostAt)
		counts.ReturnsPerSecond[int64(now/time.Second)]++
		if c.recovery.requested && !c.recovery.recovered {
			counts.Unrecovered++
		}
	}
	if reason, lost := p.lostEarly[c]; lost {
		delete(p.lostEarly, c)
		p.leave(m, reason)
	}
}

// lost notes that the server or the network ended a connection. The caller holds the shard's mu.
func (p *population) lost(c *client, reason error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[c.id]
	if m == nil || m.connection != c {
		p.lostEarly[c] = reason
		return
	}
	p.leave(m, reason)
}

// leave counts a connection that ended, and lets the client come back unless its layer does not. The caller holds mu.
func (p *population) leave(m *member, reason error) {
	id := m.connection.id
	m.connection, m.lostAt = nil, time.Duration(p.worker.clock.now())
	m.timesAway++
	layer, counts := p.layer(id), p.counts(id)
	if counts == nil {
		p.publisherConnectionsLost++
	} else {
		p.connectionsLost++
		p.away++
		counts.ConnectionsLost[errorText(reason)]++
		if endsAt(layer, reason) {
			p.leaveForGood(id)
			return
		}
	}
	if !p.stopped {
		p.goroutines.Go(func() { p.comeBack(id, layer) })
	}
}

// leaveForGood counts a client that does not come back any more. The caller holds mu.
func (p *population) leaveForGood(id int) {
	p.members[id].gone = true
	p.counts(id).Gone++
	p.away--
}

// layer returns the layer by which a client comes back.
func (p *population) layer(id int) reconnect.Layer {
	if group := p.worker.plan.group(id); group >= 0 {
		return p.worker.options.Groups[group].Layer
	}
	return publisherLayer
}

// comeBack connects a client that is away, as often as its layer does.
func (p *population) comeBack(id int, layer reconnect.Layer) {
	w := p.worker
	for failed := 0; w.sleep(w.clock.now() + int64(layer.Wait(failed).Draw())); {
		c, err := w.connect(id)
		if err == nil {
			w.register(c)
			return
		}
		if failed++; w.ctx.Err() != nil || !p.goesOn(id, layer, failed, err) {
			return
		}
	}
}

// goesOn counts an attempt that failed, and reports whether the client tries again.
func (p *population) goesOn(id int, layer reconnect.Layer, failed int, reason error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := p.counts(id)
	if counts == nil {
		return true
	}
	p.refused++
	counts.Refused[errorText(reason)]++
	_, refused := errors.AsType[ws.StatusError](reason)
	if !layer.EndsAfter(failed, refused) && !endsAt(layer, reason) {
		return true
	}
	p.leaveForGood(id)
	return false
}

// endsAt reports whether a layer does not come back after a connection that ended for a reason.
func endsAt(layer reconnect.Layer, reason error) bool {
	closed, isClose := errors.AsType[*closeError](reason)
	return isClose && layer.EndsAt(closed.code)
}

// delivered counts a message that came twice or late. The caller holds the mu of the client's shard.
func (p *population) delivered(id int, how sequenceResult) {
	if how == newest {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	m, counts := p.members[id], p.counts(id)
	if m == nil {
		return
	}
	if how == duplicate {
		m.duplicated++
		counts.Duplicated++
		return
	}
	m.reordered++
	counts.Reordered++
}

// report adds the totals to a worker's report.
func (p *population) report(r *Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r.ConnectionsLost, r.Returns, r.Refused, r.Away = p.connectionsLost, p.returns, p.refused, p.away
}

// publishers returns the ids of the publishers that have been connected.
func (p *population) publishers() []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	var ids []int
	for _, id := range p.worker.ownedIn(Range{0, p.worker.plan.extra}) {
		if p.members[id] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

// connection returns the open connection of a client; nil while it is away.
func (p *population) connection(id int) *client {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.members[id].connection
}

// nextNumber returns the number of a publisher's next message.
func (p *population) nextNumber(publisher int) uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.members[publisher]
	m.number++
	m.unaccepted[m.number] = struct{}{}
	return m.number
}

// accepted notes that the server has acknowledged a publisher's message.
func (p *population) accepted(publisher int, number uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	// A server may answer what it was not asked.
	if m := p.members[publisher]; m != nil {
		delete(m.unaccepted, number)
	}
}
