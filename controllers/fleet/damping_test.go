package fleet

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"k8s.io/apimachinery/pkg/types"

	"github.com/wsfleet/wsfleet/internal/contract"
)

func TestOutdated(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	fleetOf := func(change func(*Gateway)) Snapshot {
		one := Gateway{Pod: "a", Report: contract.GatewayReport{
			State:          contract.StateServing,
			Connections:    100,
			MaxConnections: 1000,
			Broker:         contract.BrokerReport{Kind: contract.BrokerRedis, State: contract.BrokerReady},
		}}
		change(&one)
		return Snapshot{Gateways: map[types.UID]Gateway{"a": one}}
	}
	connections := func(n int) Snapshot { return fleetOf(func(g *Gateway) { g.Report.Connections = n }) }
	drain := func(deadline time.Time) func(*Gateway) {
		return func(g *Gateway) { g.Report.Drain = &contract.DrainReport{Deadline: deadline} }
	}
	pace := func(perSecond float64) func(*Gateway) {
		return func(g *Gateway) { g.Report.Drain = &contract.DrainReport{Deadline: at, ClosesPerSecond: perSecond} }
	}
	rejects := func(perSecond float64) func(*Gateway) {
		return func(g *Gateway) { g.Report.RejectRate = &perSecond }
	}
	same := fleetOf(func(*Gateway) {})

	for _, c := range []struct {
		name              string
		published, latest Snapshot
		age               time.Duration
		want              bool
	}{
		{"nothing changed, for long", same, same, time.Hour, false},
		{"a later report of the same", same, fleetOf(func(g *Gateway) { g.ReportedAt = at }), time.Hour, false},
		{"few more clients", same, connections(104), 14 * time.Second, false},
		{"few more clients, for a while", same, connections(104), 15 * time.Second, true},
		{"many more clients", same, connections(105), 0, true},
		{"many fewer clients", same, connections(95), 0, true},
		{"the first client", connections(0), connections(1), 0, true},
		{"the last client leaves", connections(1), connections(0), 0, true},
		{"a new gateway", Snapshot{}, same, 0, true},
		{"a gateway less", same, Snapshot{}, 0, true},
		{"another gateway", same, Snapshot{Gateways: map[types.UID]Gateway{"b": {}}}, 0, true},
		{"state", same, fleetOf(func(g *Gateway) { g.Report.State = contract.StateDraining }), 0, true},
		{"broker", same, fleetOf(func(g *Gateway) { g.Report.Broker.State = contract.BrokerDegraded }), 0, true},
		{
			"credentials", fleetOf(func(g *Gateway) { g.Report.Broker.State = contract.BrokerConnecting }),
			fleetOf(func(g *Gateway) {
				g.Report.Broker.State, g.Report.Broker.Reason = contract.BrokerConnecting, contract.BrokerCredentialsRefused
			}), 0, true,
		},
		{"capacity", same, fleetOf(func(g *Gateway) { g.Report.MaxConnections = 1 }), 0, true},
		{"it turns clients away", same, fleetOf(rejects(0.05)), 0, true},
		{"it does not any more", fleetOf(rejects(0.05)), fleetOf(rejects(0.04)), 0, true},
		{"it turns more away", fleetOf(rejects(0.05)), fleetOf(rejects(9)), time.Hour, false},
		{"it turns a few away", same, fleetOf(rejects(0.04)), time.Hour, false},
		{"too many come at once", same, fleetOf(func(g *Gateway) { g.Report.CrowdRate = new(1.0) }), 0, true},
		{"no answer", same, fleetOf(func(g *Gateway) { g.Stale = true }), 0, true},
		{"a drain began", same, fleetOf(drain(at)), 0, true},
		{"a drain goes on", fleetOf(drain(at)), fleetOf(drain(at)), time.Hour, false},
		{"a drain has another pace", fleetOf(pace(10)), fleetOf(pace(12.1)), 0, true},
		{"a drain has much the same pace", fleetOf(pace(10)), fleetOf(pace(11.9)), time.Hour, false},
		{"a drain begins to close", fleetOf(pace(0)), fleetOf(pace(1)), 0, true},
		{"a drain's deadline moved", fleetOf(drain(at)), fleetOf(drain(at.Add(time.Second))), 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, outdated(c.published, c.latest, c.age))
		})
	}
}
