package fleetclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// maxCounted is the maximum number of a user's connections that are counted: as many as the server API lists.
const maxCounted = 1000

// ErrNoConnection means that no client of the fleet has this connection.
var ErrNoConnection = errors.New("there is no such connection: `connections` lists those that there are")

// carriers returns the gateways to send a command for the whole fleet to: one that carries it to the others over the
// backplane, or all where there is none, since each then has its own clients and channels. unanswered are the gateways
// without a backplane that the command does not reach. carriers returns an error when no gateway answers.
func (c *Client) carriers(
	ctx context.Context, of Gateways,
) (pods []string, unanswered []fleetview.Unanswered, err error) {
	var withoutBackplane []string
	degraded := ""
	var failures []error
	for i := range of.pods {
		name := of.pods[i].Name
		report, err := c.scraper.Scrape(ctx, &of.pods[i], of.token)
		switch {
		case err != nil:
			failures = append(failures, err)
			unanswered = append(unanswered, fleetview.Unanswered{Pod: name, Reason: err.Error()})
		case report.Broker.Kind == contract.BrokerMemory:
			withoutBackplane = append(withoutBackplane, name)
		case report.Broker.State == contract.BrokerReady:
			return []string{name}, nil, nil
		default:
			degraded = name
		}
	}
	switch {
	case ctx.Err() != nil:
		return nil, nil, ctx.Err() //nolint:wrapcheck // the user's own interrupt
	case degraded != "":
		return []string{degraded}, nil, nil
	case len(withoutBackplane) > 0:
		return withoutBackplane, unanswered, nil
	case len(of.pods) == 0:
		return nil, nil, fmt.Errorf("no gateway of fleet %s runs: `status %s` says why", of.cluster, of.cluster)
	}
	return nil, nil, fmt.Errorf("no gateway of fleet %s answered: %w", of.cluster, errors.Join(failures...))
}

// call calls a method of the server API on the private port of a gateway, and decodes its result. It returns the errors
// of ask.
func (c *Client) call(ctx context.Context, of Gateways, pod, method string, body, result any) error {
	var answer struct{ Result json.RawMessage }
	if err := c.ask(ctx, pod, of.token, http.MethodPost, contract.PathAPI+method, body, &answer); err != nil {
		return err
	}
	if err := json.Unmarshal(answer.Result, result); err != nil {
		return fmt.Errorf("read the answer of gateway %s: %w", pod, err)
	}
	return nil
}

// Disconnect closes the connections that d names on all gateways of the fleet, and fills in how many these are. It
// returns ErrNoConnection when d.Connection is not connected, and an error when a gateway refuses or does not answer.
func (c *Client) Disconnect(ctx context.Context, of Gateways, d *fleetview.Disconnect) error {
	pods, unanswered, err := c.carriers(ctx, of)
	if err != nil {
		return err
	}
	d.Unanswered = unanswered
	d.Connections = new(0)
	for _, pod := range pods {
		if d.Connection != "" {
			err = c.disconnectOne(ctx, of, pod, d)
		} else {
			err = c.disconnectUser(ctx, of, pod, d)
		}
		if err != nil {
			return err
		}
	}
	if d.Connection != "" && *d.Connections == 0 {
		return ErrNoConnection
	}
	return nil
}

// disconnectOne closes one connection by a gateway, which need not have it. It returns an error when the gateway
// refuses or does not answer.
func (c *Client) disconnectOne(ctx context.Context, of Gateways, pod string, d *fleetview.Disconnect) error {
	path := contract.PathAPI + "connections/" + url.PathEscape(d.Connection) + "?" +
		url.Values{"code": {strconv.Itoa(d.Code)}, "reason": {d.Reason}}.Encode()
	err := c.ask(ctx, pod, of.token, http.MethodDelete, path, nil, new(json.RawMessage))
	if isNotFound(err) {
		return nil
	}
	*d.Connections++
	return err
}

// disconnectUser closes the connections of a user by a gateway. It returns an error when the gateway refuses or does
// not answer. That they cannot be counted, because a gateway of the fleet does not answer, leaves d.Connections nil.
func (c *Client) disconnectUser(ctx context.Context, of Gateways, pod string, d *fleetview.Disconnect) error {
	var found struct{ Connections []json.RawMessage }
	err := c.call(ctx, of, pod, "connections", map[string]any{"user": d.User, "limit": maxCounted}, &found)
	switch {
	case err != nil:
		d.Connections = nil
	case d.Connections != nil:
		*d.Connections += len(found.Connections)
	}
	return c.call(ctx, of, pod, "disconnect", map[string]any{
		"user":       d.User,
		"disconnect": map[string]any{"code": d.Code, "reason": d.Reason},
		"revoke":     d.Revoked,
	}, new(json.RawMessage))
}

// Publish publishes data, which is JSON, to a channel of the fleet, and fills in where it is in the channel's history.
// It returns an error when a gateway refuses or does not answer.
func (c *Client) Publish(ctx context.Context, of Gateways, data json.RawMessage, p *fleetview.Published) error {
	pods, unanswered, err := c.carriers(ctx, of)
	if err != nil {
		return err
	}
	p.Unanswered = unanswered
	for _, pod := range pods {
		var position struct {
			Offset uint64
			Epoch  string
		}
		err := c.call(ctx, of, pod, "publish", map[string]any{"channel": p.Channel, "data": data}, &position)
		if _, refused := errors.AsType[*RefusedError](err); err != nil && !refused {
			return fmt.Errorf("%w; whether it was published is not known", err)
		}
		if err != nil {
			return err
		}
		p.Gateways++
		p.Offset, p.Epoch = position.Offset, position.Epoch
	}
	if p.Gateways > 1 {
		// Each gateway has a history of its own.
		p.Offset, p.Epoch = 0, ""
	}
	return nil
}
