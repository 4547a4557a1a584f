package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/websocket"
)

// Endpoint returns the HTTP handler where an endpoint's clients connect.
func (s *Server) Endpoint(e Endpoint) http.Handler {
	up := websocket.Upgrader{
		HandshakeTimeout: s.options.HandshakeTimeout,
		ReadBufferSize:   readBufferSize,
		WriteBufferPool:  &s.writeBuffers,
		Subprotocols:     e.Subprotocols,
		// Origins are checked earlier, before anything is spent on the client.
		CheckOrigin: func(*http.Request) bool { return true },
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			s.refuse(w, &Refusal{Status: status, Reason: "malformed", Message: reason.Error()})
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if refusal := s.serve(w, r, &e, &up); refusal != nil {
			s.refuse(w, refusal)
		}
	})
}

// serve takes a client through the handshake. A nil refusal means that the client was answered.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, e *Endpoint, up *websocket.Upgrader) *Refusal {
	if refusal := s.inspect(r); refusal != nil {
		return refusal
	}
	ip := s.options.Proxies.ClientIP(r)
	if refusal := s.admission.acquire(ip); refusal != nil {
		return refusal
	}
	handler, err := e.Accept(r)
	if err != nil {
		s.admission.release(ip)
		if refusal, ok := errors.AsType[*Refusal](err); ok {
			return refusal
		}
		return &Refusal{Status: http.StatusInternalServerError, Reason: "internal", Message: "internal error"}
	}

	// The connection exists before its handshake is answered: a client that sees the answer can rely
	// on everything that the handler set up.
	c := s.newConn(ip, handler, e)
	s.add(c)
	// A drain may have found nobody here while the handler was made. Now it finds this connection, or
	// this finds the drain.
	if refusal := s.options.Admit(); refusal != nil {
		c.finish(ending{code: CodeAbnormal})
		return refusal
	}
	handler.OnOpen(c)
	hw := &hijacker{ResponseWriter: w}
	ws, err := up.Upgrade(hw, r, s.options.Header)
	if err != nil {
		c.finish(ending{code: CodeAbnormal})
		return nil //nolint:nilerr // answered, as far as anybody is there
	}
	s.options.Observer.ConnectionAccepted(e.Protocol)
	c.start(ws, hw.conn)
	return nil
}

// inspect refuses what needs no look at the limits.
func (s *Server) inspect(r *http.Request) *Refusal {
	switch {
	case r.Method != http.MethodGet:
		return &Refusal{Status: http.StatusMethodNotAllowed, Reason: "malformed", Message: "a WebSocket handshake is a GET"}
	case !websocket.IsWebSocketUpgrade(r):
		return &Refusal{Status: http.StatusUpgradeRequired, Reason: "not_websocket", Message: "this path speaks WebSocket: connect with a WebSocket client"}
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
	ctx, cancel := context.WithCancel(context.Background())
	return &conn{
		ctx: ctx, cancel: cancel,
		server: s, endpoint: e, handler: handler, id: uuid.NewString(), ip: ip, opened: time.Now(),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), written: make(chan struct{}),
		queue: queue{max: s.options.MaxQueuedBytes},
	}
}

// start begins to read and to write.
func (c *conn) start(ws *websocket.Conn, nc *handshakeConn) {
	nc.readOnly.Store(true)
	ws.SetReadLimit(int64(c.server.options.MaxMessageBytes))
	ws.SetCloseHandler(func(int, string) error { return nil })
	ws.SetPingHandler(func(data string) error {
		c.Send(encodeFrame(opPong, []byte(data)))
		return nil
	})
	ws.SetPongHandler(func(string) error {
		c.Pong()
		return nil
	})
	c.mu.Lock()
	c.ws, c.net = ws, nc.Conn
	aborted := c.aborted
	c.mu.Unlock()
	if aborted {
		c.abort()
	}
	go c.run()
}

// refuse answers a handshake with what the client can act on.
func (s *Server) refuse(w http.ResponseWriter, r *Refusal) {
	s.options.Observer.ConnectionRefused(r.Reason)
	h := w.Header()
	for name, values := range s.options.Header {
		h[name] = values
	}
	// Who is refused holds no file descriptor: a full gateway needs them to refuse the next.
	h.Set("Connection", "close")
	if r.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(r.RetryAfter.Seconds()))))
	}
	if r.Cookie != nil {
		http.SetCookie(w, r.Cookie)
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
	http.Error(w, strings.TrimPrefix(r.Message, "websocket: "), r.Status)
}

// readBufferSize holds a few small frames; larger messages are read past it.
const readBufferSize = 1024

// hijacker hands the upgrader a connection that it can be kept from writing to later.
type hijacker struct {
	http.ResponseWriter
	conn *handshakeConn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, rw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, fmt.Errorf("take the connection over: %w", err)
	}
	h.conn = &handshakeConn{Conn: nc}
	return h.conn, rw, nil
}

// handshakeConn swallows writes once it is readOnly: the library writes close frames of its own
// when it reads a broken one, in the middle of what the writer goroutine sends.
type handshakeConn struct {
	net.Conn
	readOnly atomic.Bool
}

func (c *handshakeConn) Write(b []byte) (int, error) {
	if c.readOnly.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

func (c *handshakeConn) SetWriteDeadline(t time.Time) error {
	if c.readOnly.Load() {
		return nil
	}
	return c.Conn.SetWriteDeadline(t)
}
