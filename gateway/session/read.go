package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// readHistory reads a page of a stream: as many publications as fit into MaxHistoryBytes, and one at least, so that a
// client that reads page by page gets on. Clients that want the same page share a read.
func (o *Options) readHistory(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	key := fmt.Sprintf("history %q %d %t", name, q.Limit, q.Reverse)
	if q.Since != nil {
		key += fmt.Sprintf(" %d %q", q.Since.Offset, q.Since.Epoch)
	}
	q.MaxBytes = o.MaxHistoryBytes
	return coalesce(ctx, o.Coalescer, key, o.Timeout, func(ctx context.Context) (broker.Stream, error) {
		return o.Broker.History(ctx, name, q)
	})
}

// readMembers reads the presence of a channel; clients that want the same share a read. Presence has no pages, so that
// it returns ErrTooManyMembers for more than MaxHistoryBytes.
func (o *Options) readMembers(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	read := func(ctx context.Context) (map[string]broker.ClientInfo, error) {
		members, err := o.Broker.Members(ctx, name, o.MaxHistoryBytes)
		if errors.Is(err, broker.ErrTooLarge) {
			return nil, ErrTooManyMembers
		}
		return members, err
	}
	return coalesce(ctx, o.Coalescer, fmt.Sprintf("members %q", name), o.Timeout, read)
}
