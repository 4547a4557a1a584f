package transport

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// Options configure a Server.
type Options struct {
	// MaxConnections is the maximum number of connections. A full server refuses handshakes with 503.
	MaxConnections int
	// MaxConnectionsPerIP is the maximum number of connections of one client address; 0 is no limit. A
	// /64 network of IPv6 counts as one address.
	MaxConnectionsPerIP int
	// ConnectRate is the maximum number of new connections per second; 0 is no limit.
	ConnectRate int
	// MaxMessageBytes is the maximum size of a client's message, decompressed, unless its Endpoint has another.
	MaxMessageBytes int
	// MessageRate is the maximum number of messages per second and connection; 0 is no limit.
	MessageRate int
	// MaxQueuedBytes limits what waits to be written to one connection.
	MaxQueuedBytes int
	// MaxTotalQueuedBytes limits what waits for all connections together, and the large messages that are received or
	// handled; 0 is no limit. Above it, each client with a backlog is treated as if its own queue were full. A client that
	// sends a large message while such messages take half of it is closed.
	MaxTotalQueuedBytes int64
	// HandshakeTimeout is how long a client may take to send its first request.
	HandshakeTimeout time.Duration
	// MaxHandshakes is the maximum number of connections whose first request is incomplete. One more
	// evicts the oldest of them.
	MaxHandshakes int
	// RefusalDelay is the longest time that a refusal for a moment, one with RetryAfter, is held back. Clients then try
	// again later, whatever their libraries make of RetryAfter. 0 means that none is held.
	RefusalDelay time.Duration
	// CloseTimeout is how long a client may take to answer a close frame.
	CloseTimeout time.Duration
	// WriteStallTimeout is how long WaitWritable waits for a client to read. 0 means 30 seconds.
	WriteStallTimeout time.Duration
	// Origins are the origins of web pages that may connect.
	Origins Origins
	// Proxies are the proxies whose X-Forwarded-For and Forwarded headers are used.
	Proxies Proxies
	// ProxyProtocol says whether connections of Proxies begin with a PROXY protocol header.
	ProxyProtocol ProxyProtocol
	// Compression allows clients to negotiate permessage-deflate, RFC 7692.
	Compression bool
	// Affinity is the cookie by which proxies keep clients on this gateway. nil means that there is none.
	Affinity *AffinityCookie
	// Header is part of each response to a handshake.
	Header http.Header
	// Admit refuses all handshakes while its result is not nil. It must not block.
	Admit func() *Refusal
	// Observer counts what happens.
	Observer Observer
	Logger   *slog.Logger
	// NewID returns the ID of a new connection. nil means random IDs.
	NewID func() uuid.UUID
	// Changed is called after each end of a connection. It must not block.
	Changed func()
	// Blocking drives every connection by goroutines, even where an event loop is available.
	Blocking bool
}

// Server holds all WebSocket connections of a gateway.
type Server struct {
	options        Options
	admission      *admission
	connectLimiter *connectRateLimiter
	loops          eventLoops
	wheel          *timingWheel
	workers        *workerPool
	// base is the parent of the handlers' contexts. It is never canceled.
	base   context.Context
	budget budget
	// calls limits the functions of Conn.Go that run at once.
	calls *serverCalls
	// proxyRefusals limits warnings of connections that the PROXY protocol refuses.
	proxyRefusals *ratelog.Limiter
	// held are the refusals that are held back.
	held *heldRefusals
	// open counts the connections in conns.
	open sync.WaitGroup
	// remaining counts the connections that are not closing.
	remaining atomic.Int64

	// mu guards the fields below.
	mu    sync.Mutex
	conns map[*conn]struct{}
	// closed reports that no connection is accepted any more.
	closed bool
}

// NewServer starts a server without connections. The caller must call Close.
func NewServer(o Options) *Server {
	if o.NewID == nil {
		o.NewID = uuid.New
	}
	if o.WriteStallTimeout == 0 {
		o.WriteStallTimeout = defaultWriteStallTimeout
	}
	return &Server{
		options:        o,
		base:           context.Background(),
		admission:      newAdmission(o.MaxConnections, o.MaxConnectionsPerIP),
		connectLimiter: newConnectRateLimiter(o.ConnectRate),
		wheel:          newTimingWheel(),
		workers:        newWorkerPool(),
		budget:         budget{max: o.MaxTotalQueuedBytes},
		calls:          newServerCalls(),
		held:           newHeldRefusals(),
		proxyRefusals:  ratelog.New(o.Logger),
		conns:          map[*conn]struct{}{},
	}
}

// Close aborts all connections, waits for their ends, and stops the server's goroutines. Listeners must
// be closed before.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.held.releaseAll()
	s.Abort()
	s.open.Wait()
	s.loops.close()
	s.wheel.close()
	s.workers.close()
}

// add adds a connection. It reports false when the server is closed.
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

// remove removes a connection that ended. It frees the slot first, so that a new connection fits as soon
// as Open counts one less.
func (s *Server) remove(c *conn) {
	s.admission.release(c.ip)
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	s.options.Changed()
	s.open.Done()
}

// Limit returns the maximum number of connections.
func (s *Server) Limit() int { return s.options.MaxConnections }

// Open returns the number of connections, those that are closing included.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// QueuedBytes returns the memory in bytes of all outbound queues, and of the large messages that are received or
// handled. A message that waits in several queues counts once.
func (s *Server) QueuedBytes() int64 { return s.budget.used.Load() }

// ReleaseRefusals answers all refusals that are held back now, and holds none any more, because the server ends.
func (s *Server) ReleaseRefusals() { s.held.releaseAll() }

// HeldRefusals returns the number of refusals that are held back.
func (s *Server) HeldRefusals() int { return s.held.count() }

// Remaining returns the number of connections that are not closing.
func (s *Server) Remaining() int { return int(s.remaining.Load()) }

// CloseSome begins to close up to n connections with their protocol's code for a drain, and returns how
// many. It does not wait for their ends. The order is random, so that clients that connected together are
// not closed together. Unless openedUntil is zero, connections that were opened after it are spared.
func (s *Server) CloseSome(n int, openedUntil time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	closed := 0
	for c := range s.conns {
		if closed == n {
			break
		}
		if c.closeForDrain(openedUntil) {
			closed++
		}
	}
	return closed
}

// CloseResumable is CloseSome for the clients alone that miss nothing while they are away, as their handlers say.
func (s *Server) CloseResumable(n int, openedUntil time.Time) int {
	closed := 0
	// A handler is asked without the locks of the server and the connection.
	for _, c := range s.snapshot() {
		if closed == n {
			break
		}
		if h, ok := c.handler.(Resumer); ok && h.Resumes() && c.closeForDrain(openedUntil) {
			closed++
		}
	}
	return closed
}

// closeForDrain begins to close the connection with its protocol's code for a drain, and reports whether it did. Unless
// openedUntil is zero, it spares a connection that was opened after it.
func (c *conn) closeForDrain(openedUntil time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Without a driver, the client has no answer to its handshake yet.
	spared := !openedUntil.IsZero() && (c.driver == nil || c.openedAt > openedUntil.UnixNano())
	return !spared && c.startClose(c.endpoint.Codes.Drain)
}

// Abort ends all connections without a closing handshake.
func (s *Server) Abort() {
	for _, c := range s.snapshot() {
		c.abort()
	}
}

// Each calls f for each connection until f returns false. f may be called for a connection that has ended
// meanwhile.
func (s *Server) Each(f func(protocol string, c Conn, h Handler) bool) {
	for _, c := range s.snapshot() {
		if !f(c.endpoint.Protocol, c, c.handler) {
			return
		}
	}
}

// snapshot returns the current connections.
func (s *Server) snapshot() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}
