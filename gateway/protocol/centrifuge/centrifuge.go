// Package centrifuge speaks the Centrifuge client protocol, version 2, in JSON and Protobuf, so that
// its maintained SDKs are this gateway's SDKs. The protocol's definition is the module
// github.com/centrifugal/protocol; docs/protocols.md says what of it is here and what is not.
//
// client.go reads commands and answers them; connect.go, subscribe.go and publish.go carry them out;
// push.go is what the server sends by itself, encode.go how.
package centrifuge

import (
	"net/http"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/auth"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Name of the protocol in metrics and logs.
const Name = "centrifuge"

// Subprotocols that SDKs name in the handshake.
const (
	subprotocolJSON     = "centrifuge-json"
	subprotocolProtobuf = "centrifuge-protobuf"
)

// Options are what the protocol is made of.
type Options struct {
	protocol.Options
	// ConnectTimeout is how long a connection may exist without its connect command.
	ConnectTimeout time.Duration
	// CommandFailed counts errors answered to commands.
	CommandFailed func(code uint32)
}

// Centrifuge makes the handlers of Centrifuge clients.
type Centrifuge struct {
	options        Options
	json, protobuf *encoding
}

// New returns the protocol.
func New(o Options) *Centrifuge {
	return &Centrifuge{options: o, json: newJSON(o.PingInterval, o.PongTimeout), protobuf: newProtobuf(o.PingInterval, o.PongTimeout)}
}

// Path implements protocol.Protocol.
func (p *Centrifuge) Path() string { return contract.PathCentrifuge }

// Endpoint implements protocol.Protocol.
func (p *Centrifuge) Endpoint() transport.Endpoint {
	return transport.Endpoint{
		Protocol:     Name,
		Subprotocols: []string{subprotocolJSON, subprotocolProtobuf},
		Codes:        transport.Codes{Slow: disconnectSlow(), Rate: disconnectRate(), NoPong: disconnectNoPong(), Drain: disconnectShutdown()},
		Pong:         "{}",
		Accept:       p.accept,
	}
}

// accept chooses the encoding: that of the subprotocol that the handshake's answer names, or what the
// URL says.
func (p *Centrifuge) accept(r *http.Request) (transport.Handler, error) {
	c := &client{centrifuge: p, encoding: p.json, session: session.New(&p.options.Session)}
	if inProtobuf(r) {
		c.encoding = p.protobuf
	}
	token, _, err := auth.BearerToken(r)
	if err != nil {
		return nil, &transport.Refusal{Status: http.StatusBadRequest, Reason: "bad_request", Message: err.Error()}
	}
	if token != "" || p.options.Session.Hooks.HasConnect() {
		c.hello = &hello{token: token, header: r.Header}
	}
	return c, nil
}

func inProtobuf(r *http.Request) bool {
	for _, offered := range transport.Subprotocols(r) {
		if offered == subprotocolJSON || offered == subprotocolProtobuf {
			return offered == subprotocolProtobuf
		}
	}
	query := r.URL.Query()
	return slices.Contains([]string{query.Get("format"), query.Get("cf_protocol")}, "protobuf")
}

// hello is what a handshake said that the connect command may need.
type hello struct {
	token  string
	header http.Header
}
