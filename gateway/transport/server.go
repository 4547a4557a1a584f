package transport

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Options are what a Server is made of.
type Options struct {
	MaxConnections      int
	MaxConnectionsPerIP int
	// ConnectRate is how many connections are let in per second; 0 is no limit.
	ConnectRate     int
	MaxMessageBytes int
	// MessageRate is how many messages a connection may send per second; 0 is no limit.
	MessageRate    int
	MaxQueuedBytes int
	// MaxTotalQueuedBytes bounds what waits for all connections together; 0 is no bound. When it is
	// reached, a client that has a backlog is treated as if its own queue were full.
	MaxTotalQueuedBytes int64
	// HandshakeTimeout is how long a client has for its request. MaxHandshakes is how many may be at it
	// at once; one more sends away who has been at it for longest.
	HandshakeTimeout time.Duration
	MaxHandshakes    int
	// CloseTimeout is how long a peer has to answer a close frame.
	CloseTimeout time.Duration
	// WriteStallTimeout is how long a client may take to read what it asked for, before it gets more of it;
	// 30 seconds unless it is given.
	WriteStallTimeout time.Duration
	Origins           Origins
	Proxies           Proxies
	// Compression lets clients agree on permessage-deflate, RFC 7692.
	Compression bool
	// Header is part of every answer to a handshake.
	Header http.Header
	// Admit refuses every handshake while it returns a refusal.
	Admit    func() *Refusal
	Observer Observer
	Logger   *slog.Logger
	// NewID names connections; random by default.
	NewID func() uuid.UUID
	// Changed is called after a connection ended. It must not block.
	Changed func()
	// Blocking drives every connection with goroutines, also where an event loop could.
	Blocking bool
}

// Server is all connections of a gateway.
type Server struct {
	options   Options
	admission *admission
	turnstile *turnstile
	loops     loops
	wheel     *wheel
	crew      *crew
	// base is what messages are handled in: nobody's request.
	base   context.Context
	budget budget
	// open counts what conns holds.
	open sync.WaitGroup

	// remaining counts the connections that nobody has begun to close.
	remaining atomic.Int64

	mu    sync.Mutex
	conns map[*conn]struct{}
	// closed: nobody is let in any more.
	closed bool
}

// NewServer returns a server without connections; Endpoint lets them in.
func NewServer(o Options) *Server {
	if o.NewID == nil {
		o.NewID = uuid.New
	}
	if o.WriteStallTimeout == 0 {
		o.WriteStallTimeout = defaultWriteStallTimeout
	}
	return &Server{
		options: o, base: context.Background(), admission: newAdmission(o.MaxConnections, o.MaxConnectionsPerIP), turnstile: newTurnstile(o.ConnectRate),
		wheel: newWheel(), crew: newCrew(), budget: budget{max: o.MaxTotalQueuedBytes}, conns: map[*conn]struct{}{},
	}
}

// Close ends every connection that is left and what drives them. Nobody is let in any more.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Abort()
	s.open.Wait()
	s.loops.close()
	s.wheel.close()
	s.crew.close()
}

// add reports false when the server is closed.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.conns[c] = struct{}{}
	s.remaining.Add(1)
	s.open.Add(1)
	return true
}

// remove frees the slot first: who sees that there are fewer connections can rely on the room.
func (s *Server) remove(c *conn) {
	s.admission.release(c.ip)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.options.Changed()
	s.open.Done()
}

// Limit is how many connections the server holds at most.
func (s *Server) Limit() int { return s.options.MaxConnections }

// Open counts the connections that hold a socket, closing ones included.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// QueuedBytes is the memory of what waits to be written; a message that waits for many counts once.
func (s *Server) QueuedBytes() int64 { return s.budget.used.Load() }

// Remaining counts the connections that nobody has begun to close.
func (s *Server) Remaining() int { return int(s.remaining.Load()) }

// CloseSome begins to close up to n connections with their protocol's code for a drain, and
// returns how many it found. It waits for none of them. A map's order is random, which is what a
// drain wants: neighbours in time are not closed together.
func (s *Server) CloseSome(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := 0
	for c := range s.conns {
		if closed == n {
			break
		}
		c.mu.Lock()
		if c.close(c.endpoint.Codes.Drain) {
			closed++
		}
		c.mu.Unlock()
	}
	return closed
}

// Abort ends every connection without another word.
func (s *Server) Abort() {
	for _, c := range s.snapshot() {
		c.abort()
	}
}

// Each calls f for connections until it returns false.
func (s *Server) Each(f func(protocol string, c Conn, h Handler) bool) {
	for _, c := range s.snapshot() {
		if !f(c.endpoint.Protocol, c, c.handler) {
			return
		}
	}
}

func (s *Server) snapshot() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}
