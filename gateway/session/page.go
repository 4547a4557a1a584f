package session

import (
	"context"
	"errors"
	"fmt"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// readHistory reads a page of a stream, with others who want the same: as many publications as fit, and
// one at least, so that who reads on gets on.
func (o *Options) readHistory(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	kind := fmt.Sprintf("history %q %d %t", name, q.Limit, q.Reverse)
	if q.Since != nil {
		kind += fmt.Sprintf(" %d %q", q.Since.Offset, q.Since.Epoch)
	}
	q.Bytes = o.MaxHistoryBytes
	return shared(ctx, o.Reads, kind, o.Timeout, func(ctx context.Context) (broker.Stream, error) {
		return o.Broker.History(ctx, name, q)
	})
}

// readMembers reads who is present, with others who want to know. There are no pages of them, so more
// than a client may get is refused.
func (o *Options) readMembers(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	return shared(ctx, o.Reads, fmt.Sprintf("members %q", name), o.Timeout, func(ctx context.Context) (map[string]broker.ClientInfo, error) {
		members, err := o.Broker.Members(ctx, name, o.MaxHistoryBytes)
		if errors.Is(err, broker.ErrTooLarge) {
			return nil, ErrTooManyMembers
		}
		return members, err
	})
}
