package transport

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

const (
	// maxConnCalls is the maximum number of functions of Go of one connection that have not returned, those that wait for
	// an earlier one with their key included.
	maxConnCalls = 64
	// maxServerCalls is the maximum number of functions of Go that run at once in one server.
	maxServerCalls = 4096
	// freeCallsPerCall is how many places of the server are free for each call that a connection may have.
	freeCallsPerCall = 32
)

// maxCalls returns how many calls a connection may have while so many run in the server. It is less the more run, so
// that clients whose calls take long leave places to others, whatever their number is; each may have one.
func maxCalls(running int64) int {
	return int(min(maxConnCalls, max(1, (maxServerCalls-running)/freeCallsPerCall)))
}

// serverCalls limits the functions of Go of all connections. It serves connections in the order in which they wait, and
// a connection waits for one function at a time.
type serverCalls struct {
	places  *semaphore.Weighted
	running atomic.Int64
}

func newServerCalls() *serverCalls {
	return &serverCalls{places: semaphore.NewWeighted(maxServerCalls)}
}

// acquire takes a place, and reports false when ctx ends first.
func (s *serverCalls) acquire(ctx context.Context) bool {
	if s.places.Acquire(ctx, 1) != nil {
		return false
	}
	s.running.Add(1)
	return true
}

// release gives a place back.
func (s *serverCalls) release() {
	s.running.Add(-1)
	s.places.Release(1)
}

// calls are the functions of Go of one connection that have not returned, in the order in which they were given. The
// connection's lock guards all.
type calls struct {
	all []*call
	// ended holds at most one token, which means that a call has returned.
	ended chan struct{}
}

// call is a function of Go.
type call struct {
	conn *conn
	ctx  context.Context
	key  string
	f    func(context.Context)
	// charge is that of the message in which the handler found what f handles.
	charge *charge
}

// running returns the number of calls. There are none in nil.
func (cs *calls) running() int {
	if cs == nil {
		return 0
	}
	return len(cs.all)
}

// hasKey reports whether a call has the key, which is not empty.
func (cs *calls) hasKey(key string) bool {
	return cs != nil && key != "" && slices.ContainsFunc(cs.all, func(e *call) bool { return e.key == key })
}

// remove removes a call and returns the one that waited for it, or nil.
func (cs *calls) remove(done *call) (next *call) {
	cs.all = slices.DeleteFunc(cs.all, func(e *call) bool { return e == done })
	if done.key == "" {
		return nil
	}
	if i := slices.IndexFunc(cs.all, func(e *call) bool { return e.key == done.key }); i >= 0 {
		return cs.all[i]
	}
	return nil
}

// Running implements Conn.
func (c *conn) Running(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inbound != nil && c.inbound.calls.hasKey(key)
}

// Go implements Conn.
func (c *conn) Go(ctx context.Context, key string, f func(context.Context)) bool {
	for ended := c.waitForCall(); ended != nil; ended = c.waitForCall() {
		select {
		case <-ended:
		case <-ctx.Done():
			return false
		}
	}
	e := &call{conn: c, ctx: ctx, key: key, f: f}
	if c.addBehind(e) {
		return true
	}
	// No call has this key, and only this goroutine adds calls.
	if !c.server.calls.acquire(ctx) {
		return false
	}
	c.mu.Lock()
	c.addCall(e)
	c.mu.Unlock()
	c.server.workers.start(e)
	return true
}

// waitForCall returns a channel that gets a token when a call has returned. It returns nil when the connection may have
// another call at once.
func (c *conn) waitForCall() <-chan struct{} {
	limit := maxCalls(c.server.calls.running.Load())
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.inbound
	if q.calls == nil {
		q.calls = &calls{ended: make(chan struct{}, 1)}
	}
	if len(q.calls.all) < limit {
		return nil
	}
	return q.calls.ended
}

// addBehind adds a call that the last one with its key will run, and reports false when there is none.
func (c *conn) addBehind(e *call) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.inbound.calls.hasKey(e.key) {
		return false
	}
	c.addCall(e)
	return true
}

// addCall adds a call. The caller holds the lock.
func (c *conn) addCall(e *call) {
	e.charge = c.inbound.charge.hold()
	c.inbound.calls.all = append(c.inbound.calls.all, e)
}

// run implements job. It runs the call, and then those that wait for it, with the server's slot of the first one.
func (e *call) run() {
	c := e.conn
	for e != nil {
		c.runCall(e)
		e = c.endCall(e)
	}
	c.server.calls.release()
}

// runCall runs the function of a call. A panic closes this connection and leaves the others alone.
func (c *conn) runCall(e *call) {
	defer func() {
		if p := recover(); p != nil {
			c.server.options.Logger.Error("message handler failed", slog.String("connection", c.ID()), recovery.Attr(p))
			c.Close(Close{CodeInternal, "internal error"})
		}
	}()
	e.f(e.ctx)
}

// endCall removes a call that has returned and returns the one that waited for it, or nil.
func (c *conn) endCall(e *call) (next *call) {
	e.charge.release()
	c.mu.Lock()
	defer c.mu.Unlock()
	cs := c.inbound.calls
	next = cs.remove(e)
	select {
	case cs.ended <- struct{}{}:
	default:
	}
	c.recycleInbound()
	return next
}
