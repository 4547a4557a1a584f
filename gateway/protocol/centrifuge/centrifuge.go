// Package centrifuge speaks the Centrifuge client protocol, version 2, in JSON and Protobuf, so that the maintained
// SDKs of that protocol are this gateway's SDKs. The gateway package puts it at /connection/websocket. The protocol is
// defined by the module github.com/centrifugal/protocol (client.proto); docs/protocols.md says which parts of it are
// here.
//
// client.go reads commands, order.go decides which of them run side by side, replies.go sends their answers;
// connect.go, subscribe.go and publish.go carry them out; push.go is what the server sends by itself, encode.go how.
package centrifuge

import (
	"net/http"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Name is the protocol's in metrics and logs.
const Name = "centrifuge"

// Subprotocols that SDKs offer in the handshake.
const (
	subprotocolJSON     = "centrifuge-json"
	subprotocolProtobuf = "centrifuge-protobuf"
)

// queryFramePings is the parameter of the URL with which a client asks for pings of RFC 6455, section 5.5.2, instead of
// the protocol's own, as at Centrifugo. Libraries of WebSocket answer these by themselves.
const queryFramePings = "cf_ws_frame_ping_pong"

// Options are what the protocol is made of.
type Options struct {
	protocol.Options
	// ConnectTimeout is how long a connection may exist without its connect command. It begins again after the first one
	// that is refused, and each further one halves it.
	ConnectTimeout time.Duration
	// MaxCommandBytes is the maximum size of one command.
	MaxCommandBytes int
	// CommandFailed is called for every command that is answered with an error, with its code.
	CommandFailed func(code uint32)
	// ConnectFailed is called for every connect command after which the client is not connected, unless it has gone,
	// its user has too many connections, or its token is expired.
	ConnectFailed func()
}

// Centrifuge is the protocol of one gateway.
type Centrifuge struct {
	options        Options
	json, protobuf *encoding
	// framePings is the heartbeat of clients that ask for pings of RFC 6455 instead of the protocol's own.
	framePings *transport.Heartbeat
}

// New returns the protocol.
func New(o Options) *Centrifuge {
	return &Centrifuge{
		options:  o,
		json:     newJSON(o.PingInterval, o.PongTimeout),
		protobuf: newProtobuf(o.PingInterval, o.PongTimeout),
		framePings: &transport.Heartbeat{
			Ping: transport.Ping(), Interval: o.PingInterval, Timeout: o.PongTimeout,
		},
	}
}

// Patterns implements protocol.Protocol.
func (p *Centrifuge) Patterns() []string { return []string{contract.PathCentrifuge} }

// Endpoint implements protocol.Protocol.
func (p *Centrifuge) Endpoint() transport.Endpoint {
	return transport.Endpoint{
		Protocol:     Name,
		Subprotocols: []string{subprotocolJSON, subprotocolProtobuf},
		Codes: transport.Codes{
			Slow:   disconnectSlow(),
			Rate:   disconnectRate(),
			NoPong: disconnectNoPong(),
			Drain:  disconnectShutdown(),
			Memory: disconnectServerError(),
		},
		Pong:            "{}",
		MaxMessageBytes: p.maxFrameBytes(),
		CountsMessages:  true,
		Accept:          p.accept,
	}
}

// subscribeCommandBytes is the size, in bytes, of a subscribe command with a long token and a channel of any length.
const subscribeCommandBytes = 4 << 10

// maxFrameBytes returns the maximum size of a frame. An SDK that reconnects subscribes to all its channels in one
// frame.
func (p *Centrifuge) maxFrameBytes() int {
	return p.options.MaxCommandBytes + p.options.Session.MaxChannels*subscribeCommandBytes
}

// accept makes the handler of a connection. It returns a *transport.Refusal for a handshake with two different tokens.
func (p *Centrifuge) accept(r *http.Request) (transport.Handler, error) {
	c := p.newClient(p.json)
	if wantsProtobuf(r) {
		c.encoding = p.protobuf
	}
	c.framePings = r.URL.Query().Get(queryFramePings) == "true"
	token, _, err := auth.BearerToken(r)
	if err != nil {
		return nil, protocol.BadRequest(err.Error())
	}
	if token != "" || p.options.Session.Hooks.HasConnect() {
		c.handshake = &handshakeInfo{token: token, header: r.Header}
	}
	return c, nil
}

func (p *Centrifuge) newClient(e *encoding) *client {
	c := &client{Base: protocol.NewBase(&p.options.Options), centrifuge: p, encoding: e}
	c.subscribeAllowance.Store(int32(p.options.Session.MaxChannels))
	return c
}

// wantsProtobuf reports whether the subprotocol that the handshake's answer will name, or else the URL, is for
// Protobuf.
func wantsProtobuf(r *http.Request) bool {
	for _, offered := range transport.Subprotocols(r) {
		if offered == subprotocolJSON || offered == subprotocolProtobuf {
			return offered == subprotocolProtobuf
		}
	}
	query := r.URL.Query()
	return slices.Contains([]string{query.Get("format"), query.Get("cf_protocol")}, "protobuf")
}

// handshakeInfo is what the connect command may need of the handshake.
type handshakeInfo struct {
	token  string
	header http.Header
}
