package redis

import (
	"context"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// History implements broker.HistoryReader. It returns broker.ErrUnavailable, or an error for an unreadable entry.
func (b *Broker) History(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error) {
	stream, position := b.names.stream(channel)
	var epoch, since string
	if q.Since != nil {
		epoch, since = q.Since.Epoch, strconv.FormatUint(q.Since.Offset, 10)
	}
	reply, err := b.call(ctx, b.rest, "history", b.scripts.history, []string{stream, position},
		broker.NewEpoch(), broker.EmptyTTL.Milliseconds(), q.Limit, epoch, since, q.Reverse, q.MaxBytes)
	if err != nil {
		return broker.Stream{}, err
	}
	return readStream(reply)
}

// readStream decodes the reply of scripts/history.lua.
func readStream(reply any) (broker.Stream, error) {
	answer, err := list(reply, 3)
	if err != nil {
		return broker.Stream{}, err
	}
	top, err := positionOf(answer[0], answer[1])
	if err != nil {
		return broker.Stream{}, err
	}
	entries, err := list(answer[2], -1)
	if err != nil {
		return broker.Stream{}, err
	}
	out := broker.Stream{Top: top}
	for _, entry := range entries {
		p, err := readEntry(entry, top.Epoch)
		if err != nil {
			return broker.Stream{}, err
		}
		out.Publications = append(out.Publications, p)
	}
	return out, nil
}

// readEntry decodes one entry of a stream: its ID, and a field whose value is the envelope.
func readEntry(entry any, epoch string) (broker.Publication, error) {
	pair, err := list(entry, 2)
	if err != nil {
		return broker.Publication{}, err
	}
	fields, err := list(pair[1], 2)
	if err != nil {
		return broker.Publication{}, err
	}
	offset, _, _ := strings.Cut(text(pair[0]), "-")
	position, err := positionOf(offset, epoch)
	if err != nil {
		return broker.Publication{}, err
	}
	p, err := broker.Decode([]byte(text(fields[1])))
	p.Position = position
	return p, err
}

// RemoveHistory implements broker.History. It returns broker.ErrUnavailable.
func (b *Broker) RemoveHistory(ctx context.Context, channel string) error {
	stream, _ := b.names.stream(channel)
	return b.removeKeys(ctx, "remove history", stream)
}

// EndEpoch implements broker.History. It returns broker.ErrUnavailable.
func (b *Broker) EndEpoch(ctx context.Context, channel string) error {
	stream, position := b.names.stream(channel)
	return b.removeKeys(ctx, "end an epoch", stream, position)
}

// removeKeys deletes keys of one slot. what names the operation in the error, which wraps broker.ErrUnavailable.
func (b *Broker) removeKeys(ctx context.Context, what string, keys ...any) error {
	ctx, cancel := context.WithTimeout(ctx, operationTimeout)
	defer cancel()
	if err := b.rest.send(ctx, redis.NewIntCmd(ctx, append([]any{"del"}, keys...)...)); err != nil {
		return unavailable(what, err)
	}
	return nil
}
