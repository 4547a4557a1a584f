package canned

import (
	"slices"
	"sync"
)

// group is a set of clients that receive the same frames: the subscribers of a channel, or the clients that are pinged
// at the same time.
type group[F any] struct {
	mu    sync.Mutex
	seats []*membership[F]
}

// membership is a client in a group. The group's lock guards index.
type membership[F any] struct {
	client *Client[F]
	group  *group[F]
	index  int
}

// write sends a frame to all clients, with one write each.
func (g *group[F]) write(frame F) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.seats {
		s.client.wire.Write(frame)
	}
}

// join calls first and then adds a client to a group. Nothing is written to the group in between.
func (c *Client[F]) join(g *group[F], first func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if first != nil {
		first()
	}
	s := &membership[F]{client: c, group: g, index: len(g.seats)}
	g.seats = append(g.seats, s)
	c.seats = append(c.seats, s)
}

func (s *membership[F]) leave() {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	last := len(g.seats) - 1
	g.seats[s.index] = g.seats[last]
	g.seats[s.index].index = s.index
	g.seats[last] = nil
	g.seats = g.seats[:last]
}

// leaveGroup removes a client from a group.
func (c *Client[F]) leaveGroup(g *group[F]) {
	if i := slices.IndexFunc(c.seats, func(s *membership[F]) bool { return s.group == g }); i >= 0 {
		c.seats[i].leave()
		c.seats = slices.Delete(c.seats, i, i+1)
	}
}
