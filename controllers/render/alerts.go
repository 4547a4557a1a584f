package render

import (
	"fmt"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// alert is one alert about a fleet.
type alert struct {
	name       string
	expression string
	// pending is how long the expression must hold, as a Prometheus duration.
	pending  string
	severity string
	summary  string
	// remedy says what to look at and what to do.
	remedy string
}

// alerts returns the alerts about the fleet. Their expressions select its metrics by the labels that the PodMonitor
// sets. A fleet without replicas serves no clients on purpose.
func alerts(in Input) []alert {
	fleet := fmt.Sprintf("namespace=%q,%s=%q", in.Namespace, fleetLabel, in.Name)
	all := []alert{
		{
			name: "WebSocketFleetNearCapacity",
			expression: fmt.Sprintf("sum(%[1]s{%[2]s}) / sum(%[1]s_limit{%[2]s}) > 0.9",
				contract.MetricConnections, fleet),
			pending:  "5m",
			severity: "warning",
			summary:  "The fleet holds more than 90 % of the connections that it can hold.",
			remedy:   "Raise spec.replicas or spec.autoscaling.maxReplicas. A full gateway answers handshakes with 503.",
		},
		{
			name:       "WebSocketGatewayFull",
			expression: fmt.Sprintf("%[1]s{%[2]s} >= %[1]s_limit{%[2]s}", contract.MetricConnections, fleet),
			pending:    "2m",
			severity:   "warning",
			summary:    "A gateway holds as many connections as it can.",
			remedy: "New clients of this gateway are refused. When others have room, clients are spread unevenly: check " +
				"the affinity of what is in front of the fleet.",
		},
		{
			name:       "WebSocketBackplaneDown",
			expression: fmt.Sprintf(`max by (pod) (websocket_broker_state{%s,state!="ready"}) == 1`, fleet),
			pending:    "2m",
			severity:   "critical",
			summary:    "A gateway does not reach Redis.",
			remedy:     "Its clients get no messages of other gateways. The condition BackplaneReady has the reason.",
		},
		{
			name: "WebSocketHandshakesRefused",
			expression: fmt.Sprintf(`sum(rate(websocket_refused_total{%[1]s,reason=~"full|rate|hook|broker|internal"}[5m])) / `+
				`(sum(rate(websocket_accepted_total{%[1]s}[5m])) + sum(rate(websocket_refused_total{%[1]s}[5m]))) > 0.05`, fleet),
			pending:  "5m",
			severity: "warning",
			summary:  "The fleet refuses more than 5 % of handshakes for reasons of its own.",
			remedy:   "The label reason of websocket_refused_total says why: capacity, the rate limit, a hook or Redis.",
		},
		{
			name:       "WebSocketDrainForced",
			expression: fmt.Sprintf(`sum(increase(websocket_drain_closed_total{%s,how="forced"}[15m])) > 0`, fleet),
			pending:    "0m",
			severity:   "warning",
			summary:    "A drain reached its deadline and closed the remaining connections at once.",
			remedy:     "Raise spec.drain.timeout or spec.drain.maxClosesPerSecond, so that all clients move in time.",
		},
	}
	if replicas := in.Spec.Replicas; replicas != nil && *replicas > 0 {
		all = append(all, alert{
			name:       "WebSocketFleetUnavailable",
			expression: fmt.Sprintf(`(sum(websocket_drain_state{%s,state="serving"}) or vector(0)) == 0`, fleet),
			pending:    "2m",
			severity:   "critical",
			summary:    "No gateway of the fleet serves clients, or Prometheus does not reach any.",
			remedy: "Look at the conditions Available and Progressing. When they are well, check the PodMonitor's target " +
				"and spec.networkPolicy.metricsFrom.",
		})
	}
	return all
}
