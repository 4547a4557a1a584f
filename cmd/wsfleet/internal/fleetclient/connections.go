package fleetclient

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Connections asks each gateway for the connections that parameters of contract.PathConnections select. It blocks until
// all have answered or timed out. A gateway that does not answer is no error, but part of its answer.
func (c *Client) Connections(ctx context.Context, of Gateways, params url.Values) []fleetview.GatewayConnections {
	answers := make([]fleetview.GatewayConnections, len(of.pods))
	var group errgroup.Group
	group.SetLimit(fleet.MaxConcurrentScrapes)
	for i := range of.pods {
		group.Go(func() error {
			answers[i] = c.connectionsOf(ctx, of.pods[i].Name, of.token, params)
			return nil
		})
	}
	_ = group.Wait() // a gateway that does not answer is not an error
	return answers
}

// connectionsOf asks one gateway for its connections. A gateway of an older version, which would return others than
// those that were asked for, counts as one that does not answer.
func (c *Client) connectionsOf(ctx context.Context, pod, token string, params url.Values) fleetview.GatewayConnections {
	answer := fleetview.GatewayConnections{Pod: pod}
	answer.Err = c.ask(ctx, pod, token, http.MethodGet, contract.PathConnections+"?"+params.Encode(), nil, &answer.List)
	if answer.Err == nil && answer.List.Selected == nil {
		answer.Err = fmt.Errorf("gateway %s cannot select connections: update the fleet's gateways (spec.image)", pod)
	}
	return answer
}
