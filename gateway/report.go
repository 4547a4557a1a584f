package gateway

import (
	"time"

	"github.com/wsfleet/wsfleet/gateway/admin"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Report returns all that the operator knows of this gateway.
func (g *Gateway) Report() contract.GatewayReport {
	status := g.broker.Status()
	report := contract.GatewayReport{
		Node:           g.cfg.NodeName,
		Version:        g.options.Version,
		State:          g.drain.State(),
		Connections:    g.server.Open(),
		MaxConnections: g.server.Limit(),
		ConnectRate:    new(g.metrics.ConnectRate()),
		RejectRate:     new(g.metrics.RejectRate()),
		CrowdRate:      new(g.metrics.CrowdRate()),
		Broker:         contract.BrokerReport{Kind: g.broker.Kind(), State: status.State, Reason: status.Reason},
		UptimeSeconds:  time.Since(g.startedAt).Seconds(),
		Drain:          g.drain.Report(),
	}
	if since, ended := g.drain.SincePartial(); ended {
		report.PartialDrainSecondsAgo = new(since.Seconds())
	}
	if status.Err != nil && status.State != contract.BrokerReady {
		report.Broker.Error = status.Err.Error()
	}
	return report
}

// connections returns up to limit connections for the private port.
func (g *Gateway) connections(limit int) []admin.Connection {
	out := make([]admin.Connection, 0, limit)
	g.server.Each(func(name string, c transport.Conn, h transport.Handler) bool {
		entry := admin.Connection{
			ID:          c.ID(),
			Protocol:    name,
			RemoteIP:    c.RemoteIP().String(),
			ConnectedAt: c.OpenedAt(),
			QueuedBytes: c.QueuedBytes(),
			Channels:    []string{},
		}
		if client, ok := h.(protocol.Client); ok {
			entry.Channels, entry.User = client.Channels(), client.User()
		}
		out = append(out, entry)
		return len(out) < limit
	})
	return out
}
