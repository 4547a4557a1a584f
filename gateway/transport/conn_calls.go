package transport

import (
	"context"
	"log/slog"
	"slices"

	"golang.org/x/sync/semaphore"

	"github.com/wsfleet/wsfleet/internal/recovery"
)

const (
	// maxConnCalls is the maximum number of functions of Go of one connection that have not returned, those that wait for
	// an earlier one with their key included.
	maxConnCalls = 64
	// maxServerCalls is the maximum number of functions of Go that run at once in one server.
	maxServerCalls = 4096
)

// calls are the functions of Go of one connection that have not returned, in the order in which they were given. The
// connection's lock guards all.
type calls struct {
	all []*call
	// room has a slot for each call of maxConnCalls.
	room *semaphore.Weighted
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
	cs := c.ensureCalls()
	if cs.room.Acquire(ctx, 1) != nil {
		return false
	}
	e := &call{conn: c, ctx: ctx, key: key, f: f}
	if c.addBehind(e) {
		return true
	}
	// No call has this key, and only this goroutine adds calls.
	if c.server.calls.Acquire(ctx, 1) != nil {
		cs.room.Release(1)
		return false
	}
	c.mu.Lock()
	c.addCall(e)
	c.mu.Unlock()
	c.server.workers.start(e)
	return true
}

// ensureCalls returns the connection's calls.
func (c *conn) ensureCalls() *calls {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.inbound
	if q.calls == nil {
		q.calls = &calls{room: semaphore.NewWeighted(maxConnCalls)}
	}
	return q.calls
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
	c.server.calls.Release(1)
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
	cs.room.Release(1)
	c.recycleInbound()
	return next
}
