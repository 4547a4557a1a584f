package gateway

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/wsfleet/wsfleet/gateway/admin"
	"github.com/wsfleet/wsfleet/gateway/protocol"
	"github.com/wsfleet/wsfleet/gateway/transport"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// listedConnection is what decides whether and where a connection is in a list.
type listedConnection struct {
	conn     transport.Conn
	protocol string
	// client is nil for a connection whose client has not said what it is.
	client   protocol.Client
	user     string
	ip       netip.Addr
	openedAt time.Time
	// queued is read once: a list is not sorted by what changes meanwhile.
	queued int
}

// connections returns the connections that a query selects, for the private port.
func (g *Gateway) connections(q admin.ConnectionQuery) contract.ConnectionList {
	var selected []listedConnection
	g.server.Each(func(name string, c transport.Conn, h transport.Handler) bool {
		if one := newListedConnection(name, c, h); one.isSelected(q) {
			selected = append(selected, one)
		}
		return true
	})
	slices.SortFunc(selected, func(a, b listedConnection) int { return a.compare(b, q.Sort) })
	list := contract.ConnectionList{
		Total:       g.server.Open(),
		Selected:    new(len(selected)),
		Connections: make([]contract.Connection, 0, min(q.Limit, len(selected))),
	}
	for _, one := range selected[:min(q.Limit, len(selected))] {
		list.Connections = append(list.Connections, one.describe())
	}
	return list
}

func newListedConnection(name string, c transport.Conn, h transport.Handler) listedConnection {
	one := listedConnection{
		conn:     c,
		protocol: name,
		ip:       c.RemoteIP().Unmap().WithZone(""),
		openedAt: c.OpenedAt(),
		queued:   c.QueuedBytes(),
	}
	if client, ok := h.(protocol.Client); ok {
		one.client, one.user = client, client.User()
	}
	return one
}

// isSelected reports whether a query selects the connection.
func (l listedConnection) isSelected(q admin.ConnectionQuery) bool {
	return (q.User == "" || l.user == q.User) &&
		(q.Protocol == "" || l.protocol == q.Protocol) &&
		(!q.Network.IsValid() || q.Network.Contains(l.ip)) &&
		// The channels come last, because they are copied.
		(q.Channel == "" || slices.Contains(l.channels(), q.Channel))
}

// channels returns the names of the client's channels, which are none before it has said what it is.
func (l listedConnection) channels() []string {
	if l.client == nil {
		return []string{}
	}
	return l.client.Channels()
}

// compare compares two connections by an order, and by age and ID where that leaves them equal.
func (l listedConnection) compare(other listedConnection, order string) int {
	first := 0
	switch order {
	case contract.SortUser:
		first = cmp.Compare(l.user, other.user)
	case contract.SortIP:
		first = l.ip.Compare(other.ip)
	case contract.SortQueued:
		first = cmp.Compare(other.queued, l.queued)
	}
	if first = cmp.Or(first, l.openedAt.Compare(other.openedAt)); first != 0 {
		return first
	}
	mine, others := l.conn.UUID(), other.conn.UUID()
	return bytes.Compare(mine[:], others[:])
}

// describe returns the connection as the private port shows it.
func (l listedConnection) describe() contract.Connection {
	return contract.Connection{
		ID:          l.conn.ID(),
		User:        l.user,
		Protocol:    l.protocol,
		RemoteIP:    l.conn.RemoteIP().String(),
		Channels:    l.channels(),
		ConnectedAt: l.openedAt,
		QueuedBytes: l.queued,
	}
}
