package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Announce implements broker.GatewayDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Announce(ctx context.Context, about []byte, ttl time.Duration) error {
	_, err := b.call(ctx, b.rest, "announce", b.scripts.announce, b.names.gateways(), b.options.Instance, about,
		ttl.Milliseconds())
	return err
}

// Withdraw implements broker.GatewayDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Withdraw(ctx context.Context) error {
	_, err := b.call(ctx, b.rest, "withdraw", b.scripts.withdraw, b.names.gateways(), b.options.Instance)
	return err
}

// Gateways implements broker.GatewayDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Gateways(ctx context.Context) (map[string][]byte, error) {
	reply, err := b.call(ctx, b.rest, "gateways", b.scripts.gateways, b.names.gateways())
	if err != nil {
		return nil, err
	}
	about, err := current(reply)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]byte, len(about))
	for instance, says := range about {
		out[instance] = []byte(says)
	}
	return out, nil
}

// current decodes the reply of scripts/gateways.lua: the values by name, without those whose TTL is over.
func current(reply any) (map[string]string, error) {
	answer, err := list(reply, 2)
	if err != nil {
		return nil, err
	}
	out, err := byName(answer[0])
	if err != nil {
		return nil, err
	}
	over, err := texts(answer[1])
	if err != nil {
		return nil, err
	}
	for _, name := range over {
		delete(out, name)
	}
	return out, nil
}

// Send implements broker.GatewayDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Send(ctx context.Context, instance string, message []byte) (reached bool, err error) {
	inbox, _ := b.names.inbox(instance)
	connections, err := b.publish(ctx, inbox, message)
	return connections > 0, err
}

// Register implements broker.UserDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Register(ctx context.Context, users []string, ttl time.Duration) error {
	_, err := b.onSets(ctx, "hold users", b.scripts.take, users, b.names.userGatewaySets, b.options.Instance,
		ttl.Milliseconds())
	return err
}

// Deregister implements broker.UserDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Deregister(ctx context.Context, users []string) error {
	_, err := b.onSets(ctx, "let users go", b.scripts.drop, users, b.names.userGatewaySets, b.options.Instance)
	return err
}

// Lookup implements broker.UserDirectory. It returns broker.ErrUnavailable.
func (b *Broker) Lookup(ctx context.Context, user string) ([]string, error) {
	reply, err := b.call(ctx, b.rest, "lookup", b.scripts.lookup, []string{b.names.userGateways(user)})
	if err != nil {
		return nil, err
	}
	return texts(reply)
}

// Occupy implements broker.Occupancy. It returns broker.ErrUnavailable.
func (b *Broker) Occupy(ctx context.Context, channels []string, ttl time.Duration) (occupied []string, err error) {
	return b.onSets(ctx, "occupy channels", b.scripts.occupy, channels, b.names.occupantSets, b.options.Instance,
		ttl.Milliseconds())
}

// Vacate implements broker.Occupancy. It returns broker.ErrUnavailable.
func (b *Broker) Vacate(ctx context.Context, channels []string) (vacated []string, err error) {
	return b.onSets(ctx, "vacate channels", b.scripts.vacate, channels, b.names.occupantSets, b.options.Instance)
}

// VacateExpired implements broker.Occupancy. It returns broker.ErrUnavailable.
func (b *Broker) VacateExpired(ctx context.Context, ttl time.Duration) (vacated []string, err error) {
	expired := make([][]string, b.names.parts())
	err = eachOf(len(expired), func(part int) error {
		reply, err := b.call(ctx, b.rest, "vacate expired channels", b.scripts.expire,
			[]string{b.names.occupied(part), b.names.expiryWatch(part)}, maxChunk, (ttl / 2).Milliseconds(),
			(ttl / 4).Milliseconds())
		if err != nil {
			return err
		}
		expired[part], err = texts(reply)
		return err
	})
	return slices.Concat(expired...), err
}

// onSets runs a script on the sets of many names, and returns the names for whose set it replied 1. keys is called with
// names of one part. When a part of the calls fails, onSets returns broker.ErrUnavailable with the results of the
// others.
func (b *Broker) onSets(ctx context.Context, operation string, s script, all []string, keys func([]string) []string,
	args ...any) ([]string, error) {
	chunks := b.chunks(all)
	yes := make([][]string, len(chunks))
	err := eachOf(len(chunks), func(i int) error {
		reply, err := b.call(ctx, b.rest, operation, s, keys(chunks[i]), args...)
		if err != nil {
			return err
		}
		answer, err := list(reply, len(chunks[i]))
		if err != nil {
			return err
		}
		for k, said := range answer {
			if number(said) == 1 {
				yes[i] = append(yes[i], chunks[i][k])
			}
		}
		return nil
	})
	return slices.Concat(yes...), err
}

// chunks splits names into lists of up to maxChunk names of one part.
func (b *Broker) chunks(all []string) (chunks [][]string) {
	byPart := make([][]string, b.names.parts())
	for _, name := range all {
		part := b.names.part(name)
		byPart[part] = append(byPart[part], name)
	}
	for _, of := range byPart {
		chunks = slices.AppendSeq(chunks, slices.Chunk(of, maxChunk))
	}
	return chunks
}

// Revoke implements broker.Revocations. It returns broker.ErrUnavailable.
func (b *Broker) Revoke(ctx context.Context, user string, until time.Time) error {
	if until.UnixMicro() <= 0 {
		// No token was issued then.
		return nil
	}
	_, err := b.call(ctx, b.rest, "revoke", b.scripts.revoke, []string{b.names.revoked(user)},
		fmt.Sprintf("%020d", until.UnixMicro()), broker.RevocationTTL.Milliseconds())
	return err
}

// Revoked implements broker.Revocations. It returns broker.ErrUnavailable.
func (b *Broker) Revoked(ctx context.Context, user string) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	cmd := redis.NewStringCmd(ctx, "get", b.names.revoked(user))
	switch err := b.rest.send(ctx, cmd); {
	case errors.Is(err, redis.Nil):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, unavailable("revoked", err)
	}
	micros, err := strconv.ParseInt(cmd.Val(), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("redis: revocation: %w", err)
	}
	return time.UnixMicro(micros), nil
}
