// Command floor-transport is a server like floor on gateway/transport, to distinguish the cost of the gateway's event
// loop from that of its sessions and channels.
package main

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/hack/bench/internal/canned"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// The gateway's own limits.
const (
	maxMessageBytes     = 64 << 10
	maxQueuedBytes      = 1 << 20
	maxTotalQueuedBytes = 256 << 20
	handshakeTimeout    = 10 * time.Second
	pongTimeout         = 8 * time.Second
	closeTimeout        = 5 * time.Second
	maxConnections      = 1 << 20
)

func main() {
	flags := canned.ParseFlags()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", flags.Listen)
	if err != nil {
		canned.Fail(err)
	}
	// The transport pings by itself.
	f := canned.New(func(opcode byte, payload []byte) transport.Frame {
		return transport.NewFrame(transport.Kind(opcode), payload)
	})
	server := transport.NewServer(transport.Options{
		MaxConnections:      maxConnections,
		MaxMessageBytes:     maxMessageBytes,
		MaxQueuedBytes:      maxQueuedBytes,
		MaxTotalQueuedBytes: maxTotalQueuedBytes,
		HandshakeTimeout:    handshakeTimeout,
		MaxHandshakes:       maxConnections,
		CloseTimeout:        closeTimeout,
		Admit:               func() *transport.Refusal { return nil },
		Changed:             func() {},
		Observer:            unobserved{},
		Logger:              slog.New(slog.DiscardHandler),
	})
	endpoints := map[string]*transport.Endpoint{}
	for _, path := range []string{contract.PathPlain, contract.PathCentrifuge} {
		endpoints[path] = &transport.Endpoint{Protocol: path, Accept: func(r *http.Request) (transport.Handler, error) {
			return &handler{function: f, target: r.URL.RequestURI(), ping: flags.PingInterval}, nil
		}}
	}
	others, err := server.HandshakeListener(listener, endpoints)
	if err != nil {
		canned.Fail(err)
	}
	canned.Serves("floor-transport", listener.Addr().String())
	canned.Fail((&http.Server{Handler: http.NotFoundHandler(), ReadHeaderTimeout: handshakeTimeout}).Serve(others))
}

// handler handles one connection.
type handler struct {
	function *canned.Function[transport.Frame]
	target   string
	ping     time.Duration
	conn     transport.Conn
	client   *canned.Client[transport.Frame]
}

// Write implements canned.Wire.
func (h *handler) Write(frame transport.Frame) { h.conn.Send(frame) }

// OnOpen implements transport.Handler.
func (h *handler) OnOpen(c transport.Conn) {
	h.conn = c
	h.client = h.function.Open(h, h.target, func() {})
	h.target = ""
	ping := transport.Ping()
	if !h.client.Plain() {
		ping = transport.NewFrame(transport.Text, []byte("{}"))
	}
	c.StartHeartbeat(&transport.Heartbeat{Ping: ping, Interval: h.ping, Timeout: min(pongTimeout, h.ping/2)})
}

// OnMessage implements transport.Handler.
func (h *handler) OnMessage(_ context.Context, kind transport.Kind, data []byte) {
	if string(data) == "{}" && !h.client.Plain() {
		h.conn.Pong()
		return
	}
	h.function.Message(h.client, byte(kind), data)
}

// OnClose implements transport.Handler.
func (h *handler) OnClose(transport.Close) { h.function.Close(h.client) }

// unobserved implements the transport's metrics and counts nothing.
type unobserved struct{}

func (unobserved) ConnectionAccepted(string)                 {}
func (unobserved) ConnectionRefused(string)                  {}
func (unobserved) ConnectionClosed(string, int)              {}
func (unobserved) ClientDropped(string)                      {}
func (unobserved) MessageReceived(string, int)               {}
func (unobserved) MessagesSent(string, int, int)             {}
func (unobserved) MessagesDropped(transport.DropPolicy, int) {}
