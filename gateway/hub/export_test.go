package hub

// GroupsOf returns the number of groups of subscribers of a channel.
func (h *Hub) GroupsOf(channel string) int {
	c := h.find(channel)
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.groups) + len(c.filtered)
}
