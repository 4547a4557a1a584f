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

const (
	// announceInterval is the time between two announcements of a gateway.
	announceInterval = 3 * time.Second
	// announceTTL is how long an announcement counts when no other follows.
	announceTTL     = 12 * time.Second
	announceTimeout = 3 * time.Second
)

// announcement is what the broker's directory holds of a gateway. Gateways of other versions read its JSON.
type announcement struct {
	serverapi.GatewayInfo
	// Draining means that the gateway sends its clients to others. Gateways of older versions do not say so.
	Draining bool `json:"Draining,omitempty"`
}

// serves reports whether clients find the gateway: it does not drain, and has served for as long as load balancers take
// to notice.
func (a announcement) serves(propagationDelay time.Duration) bool {
	return !a.Draining && a.Uptime >= propagationDelay
}

// Run announces this gateway to the fleet every announceInterval. It blocks until ctx ends and returns nil.
func (d *Dispatcher) Run(ctx context.Context) error {
	warnings := ratelog.New(d.options.Logger)
	ticker := time.NewTicker(announceInterval)
	defer ticker.Stop()
	for {
		if err := d.announce(ctx); err != nil && ctx.Err() == nil {
			warnings.Warn("this gateway could not be announced to the fleet", slog.Any("error", err))
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Withdraw removes this gateway from the fleet's list for good. It returns the broker's error, or ctx.Err() when ctx
// ends first.
func (d *Dispatcher) Withdraw(ctx context.Context) error {
	if err := d.lockAnnouncing(ctx); err != nil {
		return err
	}
	defer d.unlockAnnouncing()
	d.withdrawn = true
	return d.options.Broker.Withdraw(ctx)
}

// announce announces this gateway, unless it was withdrawn. It returns the broker's error, or that of ctx.
func (d *Dispatcher) announce(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	if err := d.lockAnnouncing(ctx); err != nil {
		return err
	}
	defer d.unlockAnnouncing()
	if d.withdrawn {
		return nil
	}
	info, err := json.Marshal(announcement{GatewayInfo: d.info(), Draining: !d.options.Serving()})
	if err != nil {
		return fmt.Errorf("describe this gateway: %w", err)
	}
	return d.options.Broker.Announce(ctx, info, announceTTL)
}

// AnotherServes reports whether clients find another gateway of the fleet. A gateway that drains calls it: it announces
// that first, so that of two gateways that drain at the same time neither counts on the other. AnotherServes returns
// the broker's error, or that of ctx.
func (d *Dispatcher) AnotherServes(ctx context.Context) (bool, error) {
	if err := d.announce(ctx); err != nil {
		return false, err
	}
	others, err := d.others(ctx)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(others, func(one announcement) bool {
		return one.serves(d.options.PropagationDelay)
	}), nil
}

// others returns what the other gateways announced last. It returns the broker's error.
func (d *Dispatcher) others(ctx context.Context) ([]announcement, error) {
	announced, err := d.options.Broker.Gateways(ctx)
	if err != nil {
		return nil, err
	}
	var others []announcement
	for id, encoded := range announced {
		var one announcement
		if id != d.options.GatewayID.String() && json.Unmarshal(encoded, &one) == nil {
			others = append(others, one)
		}
	}
	return others, nil
}

// lockAnnouncing blocks until no other announcement or withdrawal is running. It returns ctx.Err() when ctx ends first.
func (d *Dispatcher) lockAnnouncing(ctx context.Context) error {
	select {
	case d.announcing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unlockAnnouncing undoes lockAnnouncing.
func (d *Dispatcher) unlockAnnouncing() { <-d.announcing }

// info describes this gateway.
func (d *Dispatcher) info() serverapi.GatewayInfo {
	clients, users := d.options.Clients.Count()
	return serverapi.GatewayInfo{
		UID:           d.options.GatewayID.String(),
		Name:          d.options.Name,
		Version:       d.options.Version,
		Clients:       clients,
		Users:         users,
		Channels:      d.options.Hub.Channels(),
		Subscriptions: d.options.Hub.Subscriptions(),
		Uptime:        time.Since(d.started),
		Process:       d.options.Process(),
	}
}

// Gateways implements serverapi.Fleet. It returns this gateway's current numbers and those that the others announced
// last, sorted by name. It returns the broker's error, broker.ErrUnavailable among others.
func (d *Dispatcher) Gateways(ctx context.Context) ([]serverapi.GatewayInfo, error) {
	others, err := d.others(ctx)
	if err != nil {
		return nil, err
	}
	out := []serverapi.GatewayInfo{d.info()}
	for _, one := range others {
		out = append(out, one.GatewayInfo)
	}
	slices.SortFunc(out, func(a, b serverapi.GatewayInfo) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UID, b.UID))
	})
	return out, nil
}
