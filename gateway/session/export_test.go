package session

// Running returns the number of keys of which a read runs or waits for its turn.
func (c *Coalescer) Running() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.latest)
}
