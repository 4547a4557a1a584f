// Package centrifuge speaks the Centrifuge client protocol, version 2, in JSON, so that its
// maintained SDKs are this gateway's SDKs. It knows connect, subscribe, unsubscribe, publish and
// ping; every other command is answered with an error that says so.
package centrifuge

import (
	"net/http"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/contract"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// Name of the protocol in metrics and logs.
const Name = "centrifuge"

// Subprotocols that SDKs name in the handshake.
const (
	subprotocolJSON     = "centrifuge-json"
	subprotocolProtobuf = "centrifuge-protobuf"
)

// Disconnect codes of the protocol. Clients come back after 3000 to 3499 and 4000 to 4499, later each
// time, and stay away after 3500 to 3999. Those from 4000 on are a server's own.
func disconnectShutdown() transport.Close { return transport.Close{Code: 3001, Reason: "shutdown"} }
func disconnectServerError() transport.Close {
	return transport.Close{Code: 3004, Reason: "internal server error"}
}
func disconnectSlow() transport.Close   { return transport.Close{Code: 3008, Reason: "slow"} }
func disconnectRate() transport.Close   { return transport.Close{Code: 4008, Reason: "message rate"} }
func disconnectNoPong() transport.Close { return transport.Close{Code: 3012, Reason: "no pong"} }
func disconnectBadRequest() transport.Close {
	return transport.Close{Code: 3501, Reason: "bad request"}
}
func disconnectStale() transport.Close { return transport.Close{Code: 3502, Reason: "stale"} }

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
	options   Options
	encoder   *encoder
	heartbeat *transport.Heartbeat
}

// New returns the protocol.
func New(o Options) *Centrifuge {
	return &Centrifuge{options: o, encoder: &encoder{}, heartbeat: &transport.Heartbeat{
		Ping: transport.NewFrame(transport.Text, []byte("{}")), Interval: o.PingInterval, Timeout: o.PongTimeout,
	}}
}

// Path implements protocol.Protocol.
func (p *Centrifuge) Path() string { return contract.PathCentrifuge }

// Endpoint implements protocol.Protocol.
func (p *Centrifuge) Endpoint() transport.Endpoint {
	return transport.Endpoint{
		Protocol:     Name,
		Subprotocols: []string{subprotocolJSON},
		Codes:        transport.Codes{Slow: disconnectSlow(), Rate: disconnectRate(), NoPong: disconnectNoPong(), Drain: disconnectShutdown()},
		Pong:         "{}",
		Accept:       p.accept,
	}
}

// accept refuses the encoding that is not spoken here before a client sends it.
func (p *Centrifuge) accept(r *http.Request) (transport.Handler, error) {
	query := r.URL.Query()
	offered := transport.Subprotocols(r)
	onlyProtobuf := slices.Contains(offered, subprotocolProtobuf) && !slices.Contains(offered, subprotocolJSON)
	if onlyProtobuf || query.Get("format") == "protobuf" || query.Get("cf_protocol") == "protobuf" {
		return nil, &transport.Refusal{
			Status: http.StatusBadRequest, Reason: "bad_request",
			Message: "this gateway speaks the JSON encoding only: connect without the " + subprotocolProtobuf + " subprotocol and without format=protobuf",
		}
	}
	return &client{centrifuge: p, session: session.New(&p.options.Session)}, nil
}
