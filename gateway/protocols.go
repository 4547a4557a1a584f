package gateway

import (
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/protocol/centrifuge"
	"github.com/wsfleet/wsfleet/gateway/protocol/plain"
	"github.com/wsfleet/wsfleet/gateway/session"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// protocols returns the client protocols that the gateway speaks. A new protocol gets a line here.
func (g *Gateway) protocols(o protocol.Options) []protocol.Protocol {
	spoken := []protocol.Protocol{ //nolint:prealloc // a table to which protocols are added
		plain.New(o),
		centrifuge.New(centrifuge.Options{
			Options:         o,
			ConnectTimeout:  g.cfg.ConnectTimeout,
			MaxCommandBytes: g.cfg.MaxMessageBytes,
			CommandFailed:   g.metrics.CommandFailed,
			ConnectFailed:   g.metrics.ConnectFailed,
		}),
	}
	for _, factory := range g.options.Protocols {
		spoken = append(spoken, factory(o))
	}
	return spoken
}

// endpoints returns the endpoints of all protocols by their patterns.
func (g *Gateway) endpoints() map[string]*transport.Endpoint {
	endpoints := map[string]*transport.Endpoint{}
	for _, p := range g.protocols(g.protocolOptions()) {
		e := p.Endpoint()
		for _, pattern := range p.Patterns() {
			endpoints[pattern] = &e
		}
	}
	return endpoints
}

// protocolOptions returns what all protocols are made of.
func (g *Gateway) protocolOptions() protocol.Options {
	return protocol.Options{
		Session: session.Options{
			Hub:              g.hub,
			Broker:           g.broker,
			Presence:         g.presence,
			Anonymous:        g.cfg.Anonymous,
			Tokens:           g.tokens,
			Hooks:            g.hooks,
			PersonalChannels: g.cfg.PersonalChannels,
			MaxChannels:      g.cfg.MaxChannelsPerConnection,
			Timeout:          brokerTimeout,
			MaxHistoryBytes:  g.cfg.MaxQueuedBytes,
			Remote:           g.broker.Kind() != contract.BrokerMemory || g.cfg.Tokens().JWKSURL != "",
			Coalescer:        session.NewCoalescer(g.log),
			Published:        g.metrics.Published,
			Logger:           g.log,
		},
		PingInterval: g.cfg.PingInterval,
		PongTimeout:  g.cfg.PongTimeout,
		DrainCode:    g.cfg.DrainCloseCode,
		Node:         g.cfg.NodeName,
		Version:      g.options.Version,
		Logger:       g.log,
		MayJoin:      g.clients.Check,
		Joined:       g.joined,
		Left:         g.left,
	}
}
