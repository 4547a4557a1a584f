package canned

import (
	"slices"
	"sync"
)

// group is clients that are written to together: a channel's, or those of one moment for pings.
type group[F any] struct {
	mu    sync.Mutex
	seats []*seat[F]
}

// seat is a client's place in a group; the group's lock guards index.
type seat[F any] struct {
	client *Client[F]
	group  *group[F]
	index  int
}

// write sends a frame to everybody, one write each.
func (g *group[F]) write(frame F) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.seats {
		s.client.wire.Write(frame)
	}
}

// sit puts a client into a group, after first: nothing is written to the group in between.
func (c *Client[F]) sit(g *group[F], first func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if first != nil {
		first()
	}
	s := &seat[F]{client: c, group: g, index: len(g.seats)}
	g.seats = append(g.seats, s)
	c.seats = append(c.seats, s)
}

func (s *seat[F]) leave() {
	g := s.group
	g.mu.Lock()
	defer g.mu.Unlock()
	last := len(g.seats) - 1
	g.seats[s.index] = g.seats[last]
	g.seats[s.index].index = s.index
	g.seats[last] = nil
	g.seats = g.seats[:last]
}

// stand takes a client out of a group.
func (c *Client[F]) stand(g *group[F]) {
	if i := slices.IndexFunc(c.seats, func(s *seat[F]) bool { return s.group == g }); i >= 0 {
		c.seats[i].leave()
		c.seats = slices.Delete(c.seats, i, i+1)
	}
}
