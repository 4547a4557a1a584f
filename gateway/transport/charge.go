package transport

import "sync/atomic"

// minCharge is the size in bytes from which received data is charged to the budget. Smaller messages are read and
// handled at once by most connections, and bounded for the others by maxReadAheadBytes.
const minCharge = 4 << 10

// chargeable returns how many of so many bytes of received data are charged.
func chargeable(bytes int) int {
	if bytes < minCharge {
		return 0
	}
	return bytes
}

// mayReceive reports whether there is room for another large message. Received messages may take half of the budget,
// whatever waits to be written, because the clients that send are not those that do not read.
func (b *budget) mayReceive() bool { return b.max == 0 || b.received.Load() <= b.max/2 }

// receive counts bytes of received messages; less than 0 gives them back.
func (b *budget) receive(bytes int) {
	b.used.Add(int64(bytes))
	b.received.Add(int64(bytes))
}

// charge is what one received message takes of the budget, until it is released as often as it was held. A nil charge
// is that of a small message.
type charge struct {
	budget  *budget
	bytes   int
	holders atomic.Int32
}

// charge charges the budget for a received message and returns the charge, which the caller holds. It reports false
// when there is no room.
func (b *budget) charge(bytes int) (ch *charge, ok bool) {
	if chargeable(bytes) == 0 {
		return nil, true
	}
	if !b.mayReceive() {
		return nil, false
	}
	ch = &charge{budget: b, bytes: bytes}
	ch.holders.Store(1)
	b.receive(bytes)
	return ch, true
}

// hold adds a holder and returns the charge.
func (c *charge) hold() *charge {
	if c != nil {
		c.holders.Add(1)
	}
	return c
}

// release removes a holder. The last one refunds the budget.
func (c *charge) release() {
	if c != nil && c.holders.Add(-1) == 0 {
		c.budget.receive(-c.bytes)
	}
}
