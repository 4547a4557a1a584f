package gateway

import (
	"time"

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
		PartialDrain:   g.drain.LastPartial(),
	}
	if status.Err != nil && status.State != contract.BrokerReady {
		report.Broker.Error = status.Err.Error()
	}
	return report
}
