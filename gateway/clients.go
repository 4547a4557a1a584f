package gateway

import (
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/hooks"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
)

// joined registers a client whose identity is known, and reports it to the webhook. It returns the error of the
// registry's Add.
func (g *Gateway) joined(ctx context.Context, c protocol.Client) error {
	if err := g.clients.Add(ctx, c.Conn().UUID(), c.User(), c); err != nil {
		return err
	}
	g.hooks.Emit(hooks.Event{
		Kind:     hooks.Connected,
		Time:     time.Now(),
		Client:   c.Conn().ID(),
		User:     c.User(),
		Protocol: c.Protocol(),
	})
	return nil
}

// left removes a client that joined, and reports its close code to the webhook.
func (g *Gateway) left(c protocol.Client, reason transport.Close) {
	g.clients.Remove(c.Conn().UUID())
	g.hooks.Emit(hooks.Event{
		Kind:     hooks.Disconnected,
		Time:     time.Now(),
		Client:   c.Conn().ID(),
		User:     c.User(),
		Protocol: c.Protocol(),
		Code:     uint32(reason.Code),
		Reason:   reason.Reason,
	})
}
