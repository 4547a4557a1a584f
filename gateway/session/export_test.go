package session

// UnderWay is how many kinds of read are under way.
func (r *Reads) UnderWay() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.latest)
}
