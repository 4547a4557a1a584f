package transport

// negotiated returns the frame as this connection sends it: compressed if that was negotiated.
func (c *conn) negotiated(f Frame) Frame {
	if c.deflate {
		return f.compressed()
	}
	return f
}

// send queues a frame and schedules its write. It reports false when the frame was not queued. The
// caller holds the lock.
func (c *conn) send(f Frame) bool {
	if !c.queueFrame(f) {
		return false
	}
	c.scheduleWrite(f.IsBroadcast())
	return true
}

// queueFrame queues a frame. Without room for it, the connection is closed as slow unless a drop policy
// allows to drop a message. It reports false when the connection is closing. The caller holds the lock.
func (c *conn) queueFrame(f Frame) bool {
	if c.closing != nil {
		return false
	}
	limits := queueLimits{
		bytes: c.server.options.MaxQueuedBytes, budget: &c.server.budget, writeBlocked: c.writeBlocked,
	}
	dropped, ok := c.ensureOutbound().push(f, limits)
	for policy, n := range dropped {
		if n > 0 && policy != int(Disconnect) {
			c.server.options.Observer.MessagesDropped(DropPolicy(policy), n)
		}
	}
	if !ok {
		c.outbound.discardWaiting(&c.server.budget)
		c.outbound.signalWritable()
		c.drop(dropSlow, c.endpoint.Codes.Slow)
	}
	return ok
}

// ensureOutbound returns the outbound queue and takes one from the pool first if there is none. The
// caller holds the lock.
func (c *conn) ensureOutbound() *outboundQueue {
	if c.outbound == nil {
		c.outbound = outboundQueuePool.Get().(*outboundQueue)
	}
	return c.outbound
}

// scheduleWrite starts a write turn unless one is under way. The caller holds the lock.
func (c *conn) scheduleWrite(broadcast bool) {
	if c.driver == nil || c.writeScheduled {
		return
	}
	c.writeScheduled = true
	c.driver.schedule(broadcast)
}

// claimWriteTurn reports whether no write turn was under way. The calling driver then holds the turn. It
// is for bytes that the driver itself has to write.
func (c *conn) claimWriteTurn() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driver == nil || c.writeScheduled {
		return false
	}
	c.writeScheduled = true
	return true
}

// nextBatch returns all frames that wait, for the driver to write. It returns nil and ends the write turn
// when none does. The batch belongs to the driver until batchWritten.
func (c *conn) nextBatch() *batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.outbound == nil || len(c.outbound.waiting) == 0 {
		c.writeScheduled = false
		return nil
	}
	b := c.outbound.nextBatch(&c.server.budget)
	b.last = c.closing != nil
	return b
}

// markBlocked notes that the socket's send buffer is full.
func (c *conn) markBlocked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeBlocked = true
}

// batchWritten counts a batch that is written completely. It reports whether more frames wait; if none
// does, the write turn has ended.
func (c *conn) batchWritten(b *batch) (more bool) {
	messages, bytes, last := len(b.frames), b.bytes, b.last
	c.mu.Lock()
	c.writeBlocked = false
	if q := c.outbound; q != nil {
		q.batchWritten(&c.server.budget)
		if q.isWritable(c.server.options.MaxQueuedBytes) {
			q.signalWritable()
		}
		if more = len(q.waiting) > 0; !more {
			c.writeScheduled = false
		}
		if q.isEmpty() {
			c.outbound = nil
			q.recycle(&c.server.budget)
		}
	}
	if last {
		c.closing.closeSent = true
		c.finishClose()
	}
	c.mu.Unlock()
	c.server.options.Observer.MessagesSent(c.endpoint.Protocol, messages, bytes)
	return more
}
