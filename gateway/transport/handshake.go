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

// Endpoint returns the HTTP handler where an endpoint's clients connect.
func (s *Server) Endpoint(e Endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(httpDoor{w, s}, r, &e) })
}

// serve takes a client through the handshake.
func (s *Server) serve(d door, r *http.Request, e *Endpoint) {
	if refusal := s.receive(d, r, e); refusal != nil {
		s.refuse(d, refusal)
	}
}

// receive lets a client in. A nil refusal means that it was answered.
func (s *Server) receive(d door, r *http.Request, e *Endpoint) *Refusal {
	if refusal := s.inspect(r); refusal != nil {
		return refusal
	}
	ip := s.options.Proxies.ClientIP(r)
	if refusal := s.admission.acquire(ip); refusal != nil {
		return refusal
	}
	// After the other limits: who is refused anyway must not take the turn of others.
	if refusal := s.turnstile.pass(); refusal != nil {
		s.admission.release(ip)
		return refusal
	}
	handler, err := e.Accept(r)
	if err != nil {
		s.admission.release(ip)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return refusal
		}
		s.options.Logger.Error("client not accepted", slog.String("protocol", e.Protocol), slog.Any("error", err))
		return &Refusal{Status: http.StatusInternalServerError, Reason: "internal", Message: "internal error"}
	}

	// The connection exists before its handshake is answered: a client that sees the answer can rely
	// on everything that the handler set up.
	c := s.newConn(ip, handler, e)
	c.deflate = s.extension(r) != ""
	if !s.add(c) {
		s.admission.release(ip)
		handler.OnClose(Close{Code: CodeAbnormal})
		return &Refusal{Status: http.StatusServiceUnavailable, Reason: "draining", Message: "this gateway ends; connect again", RetryAfter: time.Second}
	}
	// A drain may have found nobody here while the handler was made. Now it finds this connection, or
	// this finds the drain.
	if refusal := s.options.Admit(); refusal != nil {
		c.finish(CodeAbnormal)
		return refusal
	}
	handler.OnOpen(c)
	w, early, err := d.open(c, s.answer(r, e))
	if err != nil {
		// Answered as far as anybody is there.
		s.options.Logger.Debug("handshake failed", slog.String("connection", c.ID()), slog.Any("error", err))
		c.finish(CodeAbnormal)
		return nil
	}
	s.options.Observer.ConnectionAccepted(e.Protocol)
	c.start(w, early)
	return nil
}

// inspect refuses what needs no look at the limits.
func (s *Server) inspect(r *http.Request) *Refusal {
	if refusal := wellFormed(r); refusal != nil {
		return refusal
	}
	if refusal := s.options.Admit(); refusal != nil {
		return refusal
	}
	if !s.options.Origins.Allow(r) {
		return &Refusal{Status: http.StatusForbidden, Reason: "origin", Message: "pages of this origin may not connect; the gateway's allowed-origins must name it"}
	}
	return nil
}

// newConn returns a connection that queues what it is told to send until it is started.
func (s *Server) newConn(ip netip.Addr, handler Handler, e *Endpoint) *conn {
	c := &conn{server: s, endpoint: e, handler: handler, id: s.options.NewID(), ip: ip, opened: time.Now().UnixNano()}
	c.timer.owner = c
	return c
}

// start begins to read and to write.
func (c *conn) start(w wire, early []byte) {
	c.mu.Lock()
	c.wire = w
	if c.queue != nil {
		c.signal(false)
	}
	aborted := c.aborted
	c.mu.Unlock()
	if aborted {
		c.abort()
		return
	}
	w.start(early)
}

// refuse answers a handshake with what the client can act on.
func (s *Server) refuse(d door, r *Refusal) {
	s.options.Observer.ConnectionRefused(r.Reason)
	h := s.options.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	// Who is refused holds no file descriptor: a full gateway needs them to refuse the next.
	h.Set("Connection", "close")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	if r.Cookie != nil {
		h.Add("Set-Cookie", r.Cookie.String())
	}
	switch r.Status {
	case http.StatusUpgradeRequired:
		h.Set("Upgrade", "websocket")
		h.Add("Connection", "Upgrade")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", http.MethodGet)
	case http.StatusBadRequest:
		h.Set("Sec-WebSocket-Version", "13")
	}
	d.refuse(r.Status, h, r.Message)
}
