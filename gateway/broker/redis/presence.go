package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// Calls with many names are split into chunks of maxChunk names, so that no script blocks Redis for long.
// maxChunksAtOnce of them are under way at once and share round trips.
const (
	maxChunk        = 256
	maxChunksAtOnce = 32
)

// encodeMember returns a member as scripts/presence.lua has it.
func encodeMember(m broker.ClientInfo) []byte {
	b := strconv.AppendInt([]byte{'+'}, int64(len(m.User)), 10)
	b = append(append(b, ':'), m.User...)
	return broker.AppendInfo(b, m)
}

func decodeMember(s string) (broker.ClientInfo, error) {
	head, rest, _ := strings.Cut(s, ":")
	if head == "" {
		return broker.ClientInfo{}, fmt.Errorf("redis: member: %w", errReply)
	}
	length, err := strconv.Atoi(head[1:])
	if err != nil || length < 0 || length > len(rest) {
		return broker.ClientInfo{}, fmt.Errorf("redis: member: %w", errReply)
	}
	return broker.ReadInfo([]byte(rest[length:]))
}

// decodeMembers decodes a list of members. It skips members that it cannot read, which a newer gateway may have
// written.
func decodeMembers(reply any) ([]broker.ClientInfo, error) {
	encoded, err := texts(reply)
	if err != nil {
		return nil, err
	}
	var out []broker.ClientInfo
	for _, s := range encoded {
		if m, err := decodeMember(s); err == nil {
			out = append(out, m)
		}
	}
	return out, nil
}

// Join implements broker.Presence. It returns broker.ErrUnavailable.
func (b *Broker) Join(
	ctx context.Context, channel string, m broker.ClientInfo, ttl time.Duration,
) (broker.Joined, error) {
	reply, err := b.call(ctx, b.rest, "join", b.scripts.join, b.names.presence(channel), m.Client, encodeMember(m), m.User,
		ttl.Milliseconds())
	return broker.Joined(number(reply)), err
}

// Leave implements broker.Presence. It returns broker.ErrUnavailable.
func (b *Broker) Leave(ctx context.Context, channel string, m broker.ClientInfo,
	grace time.Duration) (left bool, gone []broker.ClientInfo, err error) {
	reply, err := b.call(ctx, b.rest, "leave", b.scripts.leave, b.names.presence(channel), m.Client, grace.Milliseconds())
	if err != nil {
		return false, nil, err
	}
	answer, err := list(reply, 2)
	if err != nil {
		return false, nil, err
	}
	gone, err = decodeMembers(answer[1])
	return number(answer[0]) == 1, gone, err
}

// Renew implements broker.Presence. It returns broker.ErrUnavailable.
func (b *Broker) Renew(ctx context.Context, channel string, clients []string,
	ttl time.Duration) (missing []string, gone []broker.ClientInfo, err error) {
	if len(clients) == 0 {
		gone, err = b.Sweep(ctx, channel)
		return nil, gone, err
	}
	chunks := slices.Collect(slices.Chunk(clients, maxChunk))
	missings, gones := make([][]string, len(chunks)), make([][]broker.ClientInfo, len(chunks))
	err = eachOf(len(chunks), func(i int) (err error) {
		missings[i], gones[i], err = b.renew(ctx, channel, chunks[i], ttl)
		return err
	})
	return slices.Concat(missings...), slices.Concat(gones...), err
}

func (b *Broker) renew(ctx context.Context, channel string, clients []string,
	ttl time.Duration) (missing []string, gone []broker.ClientInfo, err error) {
	args := make([]any, 0, 1+len(clients))
	args = append(args, ttl.Milliseconds())
	for _, client := range clients {
		args = append(args, client)
	}
	reply, err := b.call(ctx, b.rest, "renew members", b.scripts.renew, b.names.presence(channel), args...)
	if err != nil {
		return nil, nil, err
	}
	answer, err := list(reply, 2)
	if err != nil {
		return nil, nil, err
	}
	if missing, err = texts(answer[0]); err != nil {
		return nil, nil, err
	}
	gone, err = decodeMembers(answer[1])
	return missing, gone, err
}

// Sweep implements broker.Presence. It returns broker.ErrUnavailable.
func (b *Broker) Sweep(ctx context.Context, channel string) (gone []broker.ClientInfo, err error) {
	reply, err := b.call(ctx, b.rest, "sweep members", b.scripts.sweep, b.names.presence(channel))
	if err != nil {
		return nil, err
	}
	return decodeMembers(reply)
}

// Members implements broker.PresenceReader. It returns broker.ErrTooLarge or broker.ErrUnavailable.
func (b *Broker) Members(ctx context.Context, channel string, bytes int) (map[string]broker.ClientInfo, error) {
	reply, err := b.call(ctx, b.rest, "members", b.scripts.members, b.names.presence(channel), bytes,
		broker.MemberOverhead)
	if err != nil {
		return nil, err
	}
	return readMembers(reply)
}

// readMembers decodes the reply of scripts/members.lua.
func readMembers(reply any) (map[string]broker.ClientInfo, error) {
	answer, err := list(reply, 2)
	if err != nil {
		return nil, err
	}
	encoded, err := byName(answer[1])
	switch {
	case err != nil:
		return nil, err
	case number(answer[0]) == 1:
		return nil, broker.ErrTooLarge
	}
	out := make(map[string]broker.ClientInfo, len(encoded))
	for client, s := range encoded {
		if m, err := decodeMember(s); err == nil {
			out[client] = m
		}
	}
	return out, nil
}

// PresenceStats implements broker.PresenceReader. It returns broker.ErrUnavailable. When more members have expired than
// one call removes, the others of them still count.
func (b *Broker) PresenceStats(ctx context.Context, channel string) (clients, users int, err error) {
	reply, err := b.call(ctx, b.rest, "presence stats", b.scripts.stats, b.names.presence(channel))
	if err != nil {
		return 0, 0, err
	}
	answer, err := list(reply, 2)
	if err != nil {
		return 0, 0, err
	}
	return number(answer[0]), number(answer[1]), nil
}

// eachOf calls do for 0 to n-1, several at once, and returns the first error after all calls.
func eachOf(n int, do func(i int) error) error {
	var group errgroup.Group
	group.SetLimit(maxChunksAtOnce)
	for i := range n {
		group.Go(func() error { return do(i) })
	}
	return group.Wait()
}
