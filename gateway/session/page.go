package session

import (
	"context"
	"fmt"
	"slices"

	"github.com/wsfleet/wsfleet/gateway/broker"
)

// memberOverhead is about how many bytes the answer takes for each member beside what it says.
const memberOverhead = 32

// readHistory reads a page of a stream, with others who want the same.
func (o *Options) readHistory(ctx context.Context, name string, q broker.HistoryQuery) (broker.Stream, error) {
	kind := fmt.Sprintf("history %q %d %t", name, q.Limit, q.Reverse)
	if q.Since != nil {
		kind += fmt.Sprintf(" %d %q", q.Since.Offset, q.Since.Epoch)
	}
	return shared(ctx, o.Reads, kind, o.Timeout, func(ctx context.Context) (broker.Stream, error) {
		stream, err := o.Broker.History(ctx, name, q)
		stream.Publications = page(stream.Publications, o.MaxHistoryBytes)
		return stream, err
	})
}

// page is the first of some publications: as many as fit, and one at least, so that who reads on gets on.
func page(all []broker.Publication, bytes int) []broker.Publication {
	if bytes <= 0 {
		return all
	}
	for i, p := range all {
		bytes -= len(p.Data)
		if p.Info != nil {
			bytes -= len(p.Info.ConnInfo) + len(p.Info.ChanInfo)
		}
		if bytes < 0 && i > 0 {
			// A copy, or the rest would be kept with them.
			return slices.Clone(all[:i])
		}
	}
	return all
}

// readMembers reads who is present, with others who want to know. There are no pages of them, so more
// than a client may get is refused.
func (o *Options) readMembers(ctx context.Context, name string) (map[string]broker.ClientInfo, error) {
	return shared(ctx, o.Reads, fmt.Sprintf("members %q", name), o.Timeout, func(ctx context.Context) (map[string]broker.ClientInfo, error) {
		members, err := o.Broker.Members(ctx, name)
		if err == nil && o.MaxHistoryBytes > 0 && sizeOf(members) > o.MaxHistoryBytes {
			return nil, ErrTooManyMembers
		}
		return members, err
	})
}

// sizeOf is about how long the answer is that names them. It has each one's id twice.
func sizeOf(members map[string]broker.ClientInfo) (bytes int) {
	for id, m := range members {
		bytes += len(id) + len(m.Client) + len(m.User) + len(m.ConnInfo) + len(m.ChanInfo) + memberOverhead
	}
	return bytes
}
