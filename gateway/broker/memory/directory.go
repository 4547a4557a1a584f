package memory

import (
	"bytes"
	"context"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Announce implements broker.GatewayDirectory. It never returns an error.
func (b *Broker) Announce(_ context.Context, about []byte, ttl time.Duration) error {
	b.about.put(b.instance, bytes.Clone(about), ttl)
	return nil
}

// Withdraw implements broker.GatewayDirectory. It never returns an error.
func (b *Broker) Withdraw(context.Context) error {
	b.about.remove(b.instance)
	return nil
}

// Gateways implements broker.GatewayDirectory. It never returns an error.
func (b *Broker) Gateways(context.Context) (map[string][]byte, error) {
	out := map[string][]byte{}
	if about, ok := b.about.get(b.instance); ok {
		out[b.instance] = about
	}
	return out, nil
}

// Send implements broker.GatewayDirectory. This gateway is the only one. It never returns an error.
func (b *Broker) Send(_ context.Context, instance string, message []byte) (reached bool, err error) {
	if instance != b.instance {
		return false, nil
	}
	b.messages.enqueue(bytes.Clone(message))
	return true, nil
}

// Register implements broker.UserDirectory. It never returns an error.
func (b *Broker) Register(_ context.Context, users []string, ttl time.Duration) error {
	for _, user := range users {
		b.users.put(user, struct{}{}, ttl)
	}
	return nil
}

// Deregister implements broker.UserDirectory. It never returns an error.
func (b *Broker) Deregister(_ context.Context, users []string) error {
	for _, user := range users {
		b.users.remove(user)
	}
	return nil
}

// Lookup implements broker.UserDirectory. It never returns an error.
func (b *Broker) Lookup(_ context.Context, user string) ([]string, error) {
	if _, ok := b.users.get(user); ok {
		return []string{b.instance}, nil
	}
	return nil, nil
}

// Revoke implements broker.Revocations. It never returns an error.
func (b *Broker) Revoke(_ context.Context, user string, until time.Time) error {
	b.revoked.mu.Lock()
	defer b.revoked.mu.Unlock()
	now := time.Now()
	if before, ok := b.revoked.at(user, now); ok && before.After(until) {
		until = before
	}
	b.revoked.all[user] = expiring[time.Time]{until, now.Add(broker.RevocationTTL)}
	return nil
}

// Revoked implements broker.Revocations. It never returns an error.
func (b *Broker) Revoked(_ context.Context, user string) (time.Time, error) {
	until, _ := b.revoked.get(user)
	return until, nil
}

// Occupy implements broker.Occupancy. It never returns an error.
func (b *Broker) Occupy(_ context.Context, channels []string, ttl time.Duration) (occupied []string, err error) {
	for _, channel := range channels {
		if !b.occupied.put(channel, struct{}{}, ttl) {
			occupied = append(occupied, channel)
		}
	}
	return occupied, nil
}

// Vacate implements broker.Occupancy. No other gateway has subscribers: it returns all channels. It never returns an
// error.
func (b *Broker) Vacate(_ context.Context, channels []string) (vacated []string, err error) {
	for _, channel := range channels {
		b.occupied.remove(channel)
	}
	return channels, nil
}

// VacateExpired implements broker.Occupancy. No other gateway could have crashed: it returns no channels and no error.
func (b *Broker) VacateExpired(context.Context, time.Duration) (vacated []string, err error) {
	return nil, nil
}
