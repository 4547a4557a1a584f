package control

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/serverapi"
	"github.com/wsfleet/wsfleet/internal/ratelog"
)

// How often a gateway says that it is there, and how long that counts.
const (
	announceInterval = 3 * time.Second
	announceTTL      = 12 * time.Second
	announceTimeout  = 3 * time.Second
)

// Run makes this gateway known to the others until the context ends.
func (b *Backend) Run(ctx context.Context) error {
	warnings := ratelog.New(b.options.Logger)
	ticker := time.NewTicker(announceInterval)
	defer ticker.Stop()
	for {
		if err := b.announce(ctx); err != nil && ctx.Err() == nil {
			warnings.Warn("the fleet does not hear of this gateway", slog.Any("error", err))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Withdraw takes this gateway out of the fleet for good.
func (b *Backend) Withdraw(ctx context.Context) error {
	select {
	case b.announcing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.announcing }()
	b.withdrawn = true
	return b.options.Broker.Withdraw(ctx)
}

// announce says that this gateway is there, unless it was withdrawn.
func (b *Backend) announce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	select {
	case b.announcing <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-b.announcing }()
	if b.withdrawn {
		return nil
	}
	about, err := json.Marshal(b.about())
	if err != nil {
		return fmt.Errorf("describe this gateway: %w", err)
	}
	return b.options.Broker.Announce(ctx, about, announceTTL)
}

func (b *Backend) about() serverapi.GatewayInfo {
	clients, users := b.options.Clients.Count()
	return serverapi.GatewayInfo{
		UID: b.options.Instance.String(), Name: b.options.Node, Version: b.options.Version,
		Clients: clients, Users: users, Channels: b.options.Hub.Channels(), Uptime: time.Since(b.started),
	}
}

// Gateways implements serverapi.Backend.
func (b *Backend) Gateways(ctx context.Context) ([]serverapi.GatewayInfo, error) {
	known, err := b.options.Broker.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	out := []serverapi.GatewayInfo{b.about()}
	for instance, about := range known {
		var info serverapi.GatewayInfo
		if instance == out[0].UID || json.Unmarshal(about, &info) != nil {
			continue
		}
		out = append(out, info)
	}
	slices.SortFunc(out, func(a, b serverapi.GatewayInfo) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return out, nil
}
