package transport

import (
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"time"
)

// Endpoint returns the HTTP handler for the handshakes of an endpoint's clients.
func (s *Server) Endpoint(e Endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.serve(httpUpgrader{w, s, r.Context().Done()}, r, &e)
	})
}

// serve answers a handshake.
func (s *Server) serve(u upgrader, r *http.Request, e *Endpoint) {
	if refusal := s.accept(u, r, e); refusal != nil {
		s.refuse(u, refusal, s.refusalDelay(r, refusal))
	}
}

// accept checks a handshake, and upgrades the connection. The refusal is nil if the handshake was
// answered, or if its client is gone.
func (s *Server) accept(u upgrader, r *http.Request, e *Endpoint) *Refusal {
	if refusal := s.check(r); refusal != nil {
		return refusal
	}
	ip := s.options.Proxies.ClientIP(r)
	handler, refusal := s.admit(ip, r, e)
	if refusal != nil {
		return refusal
	}

	// The connection exists before its handshake is answered, so that a client that gets the answer can
	// rely on everything that the handler set up.
	c := s.newConn(ip, handler, e)
	c.deflate = s.negotiateExtensions(r) != ""
	if !s.add(c) {
		s.admission.release(ip)
		handler.OnClose(Close{Code: CodeAbnormal})
		return &Refusal{
			Status:     http.StatusServiceUnavailable,
			Reason:     "draining",
			RetryAfter: time.Second,
			Elsewhere:  true,
			Message:    "this gateway ends; connect again",
		}
	}
	// A drain may have begun since check, when this connection was not there to be closed. Either the
	// drain finds the connection now, or this call finds the drain.
	if refusal := s.options.Admit(); refusal != nil {
		c.finish(CodeAbnormal)
		return refusal
	}
	handler.OnOpen(c)
	d, early, err := u.upgrade(c, s.switchingProtocols(r, e))
	if err != nil {
		s.options.Logger.Debug("handshake failed", slog.String("connection", c.ID()), slog.Any("error", err))
		c.finish(CodeAbnormal)
		return nil
	}
	s.options.Observer.ConnectionAccepted(e.Protocol)
	c.start(d, early)
	return nil
}

// check refuses handshakes for reasons that do not depend on other connections.
func (s *Server) check(r *http.Request) *Refusal {
	if refusal := checkHandshake(r); refusal != nil {
		return refusal
	}
	if refusal := s.options.Admit(); refusal != nil {
		return refusal
	}
	if !s.options.Origins.Allow(r) {
		return &Refusal{
			Status: http.StatusForbidden, Reason: "origin",
			Message: "pages of this origin may not connect; the gateway's allowed-origins must name it",
		}
	}
	return nil
}

// admit takes a slot for the connection and creates its handler. With a refusal, no slot is taken.
func (s *Server) admit(ip netip.Addr, r *http.Request, e *Endpoint) (Handler, *Refusal) {
	if refusal := s.admission.acquire(ip); refusal != nil {
		return nil, refusal
	}
	// The rate limit comes last: a client that is refused anyway must not use up the rate of others.
	if refusal := s.connectLimiter.admit(); refusal != nil {
		refusal.Elsewhere = true
		s.admission.release(ip)
		return nil, refusal
	}
	handler, err := e.Accept(r)
	if err == nil {
		return handler, nil
	}
	s.admission.release(ip)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		return nil, refusal
	}
	s.options.Logger.Error("client not accepted", slog.String("protocol", e.Protocol), slog.Any("error", err))
	return nil, &Refusal{Status: http.StatusInternalServerError, Reason: "internal", Message: "internal error"}
}

// newConn returns a connection that only queues frames until it is started.
func (s *Server) newConn(ip netip.Addr, handler Handler, e *Endpoint) *conn {
	c := &conn{
		server:   s,
		endpoint: e,
		handler:  handler,
		id:       s.options.NewID(),
		ip:       ip,
		openedAt: time.Now().UnixNano(),
	}
	c.timer.owner = c
	return c
}

// start begins to write and to read. early is what the client sent behind its handshake.
func (c *conn) start(d driver, early []byte) {
	c.mu.Lock()
	c.driver = d
	c.openedAt = time.Now().UnixNano()
	if c.outbound != nil {
		c.scheduleWrite(false)
	}
	aborted := c.aborted
	c.mu.Unlock()
	if aborted {
		c.abort()
		return
	}
	d.start(early)
}

// refuse answers a handshake with an HTTP error, after a delay.
func (s *Server) refuse(u upgrader, r *Refusal, delay time.Duration) {
	s.options.Observer.ConnectionRefused(r.Reason)
	h := s.options.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	// A refused client must not keep a file descriptor: a full gateway needs it for the next client.
	h.Set("Connection", "close")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	if r.Elsewhere && s.options.Affinity != nil {
		h.Add("Set-Cookie", s.options.Affinity.expired())
	}
	switch r.Status {
	case http.StatusUpgradeRequired:
		// RFC 9110 section 15.5.22.
		h.Set("Upgrade", "websocket")
		h.Add("Connection", "Upgrade")
	case http.StatusMethodNotAllowed:
		// RFC 9110 section 15.5.6.
		h.Set("Allow", http.MethodGet)
	case http.StatusBadRequest:
		// RFC 6455 section 4.4.
		h.Set("Sec-WebSocket-Version", "13")
	}
	u.refuse(r.Status, h, r.Message, delay)
}
