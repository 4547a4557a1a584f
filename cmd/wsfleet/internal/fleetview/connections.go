package fleetview

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// SortPod is the order of connections by their gateways, beside the values of contract.ParamSort.
const SortPod = "pod"

// GatewayConnections is what one gateway answered when it was asked for its connections.
type GatewayConnections struct {
	Pod  string
	List contract.ConnectionList
	// Err says why there is no list.
	Err error
}

// ConnectionList is what `kubectl wsc connections` says of a fleet.
type ConnectionList struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Fleet     string `json:"fleet"`
	// Open is the number of open connections on the gateways that answered, and Selected that of those among them that
	// were asked for.
	Open     int `json:"open"`
	Selected int `json:"selected"`
	// Gateways is the number of gateways that were asked, and Unanswered are those that did not answer.
	Gateways   int          `json:"gateways"`
	Unanswered []Unanswered `json:"unanswered,omitempty"`
	// Items are the first ones of the selected connections.
	Items []Connection `json:"items"`

	// now is when the gateways were asked, for ages.
	now time.Time
}

// Connection is one client of a fleet.
type Connection struct {
	Pod string `json:"pod"`
	contract.Connection
}

// Unanswered is a gateway that was asked and did not answer.
type Unanswered struct {
	Pod    string `json:"pod"`
	Reason string `json:"reason"`
}

// Connections returns the first connections of a fleet by an order. Each gateway has answered with at least its own
// first ones.
func Connections(
	namespace, fleet string, answers []GatewayConnections, order string, limit int, now time.Time,
) ConnectionList {
	list := ConnectionList{
		Kind:      KindConnectionList,
		Namespace: namespace,
		Fleet:     fleet,
		Gateways:  len(answers),
		Items:     []Connection{},
		now:       now,
	}
	for _, answer := range answers {
		if answer.Err != nil {
			list.Unanswered = append(list.Unanswered, Unanswered{answer.Pod, answer.Err.Error()})
			continue
		}
		list.Open += answer.List.Total
		list.Selected += *answer.List.Selected
		for _, one := range answer.List.Connections {
			list.Items = append(list.Items, Connection{answer.Pod, one})
		}
	}
	slices.SortFunc(list.Items, func(a, b Connection) int { return a.compare(b, order) })
	list.Items = list.Items[:min(limit, len(list.Items))]
	return list
}

// compare compares two connections by an order as the gateways do, and by age and ID where that leaves them equal.
func (c Connection) compare(other Connection, order string) int {
	first := 0
	switch order {
	case SortPod:
		first = strings.Compare(c.Pod, other.Pod)
	case contract.SortUser:
		first = strings.Compare(c.User, other.User)
	case contract.SortIP:
		first = address(c.RemoteIP).Compare(address(other.RemoteIP))
	case contract.SortQueued:
		first = cmp.Compare(other.QueuedBytes, c.QueuedBytes)
	}
	return cmp.Or(first, c.ConnectedAt.Compare(other.ConnectedAt), strings.Compare(c.ID, other.ID))
}

// address returns the address that text is, or the zero address.
func address(text string) netip.Addr {
	parsed, _ := netip.ParseAddr(text)
	return parsed.Unmap().WithZone("")
}

// maxChannelsShown is the maximum number of channels of one connection in a table.
const maxChannelsShown = 3

// WriteText writes the connections as a table, and below it what is missing there. It returns the error of w.
func (l ConnectionList) WriteText(w io.Writer) error {
	var b strings.Builder
	if len(l.Items) > 0 {
		table := newTable(&b, "USER", "POD", "IP", "PROTOCOL", "AGE", "QUEUED BYTES", "CHANNELS", "CONNECTION")
		for _, c := range l.Items {
			table.row(printable(c.User), c.Pod, c.RemoteIP, c.Protocol, age(c.ConnectedAt, l.now),
				strconv.Itoa(c.QueuedBytes), c.channelsText(), c.ID)
		}
		table.flush()
		b.WriteString("\n")
	}
	switch {
	case l.Gateways == 0:
		b.WriteString("No gateway of the fleet runs.\n")
	case len(l.Items) < l.Selected:
		fmt.Fprintf(&b, "Shown are %d of %d connections: select fewer with --user, --channel, --pod, --ip or --protocol, or "+
			"raise --limit (%d at most).\n", len(l.Items), l.Selected, contract.MaxListed)
	default:
		fmt.Fprintf(&b, "%d of %d open connections.\n", l.Selected, l.Open)
	}
	writeUnanswered(&b, l.Unanswered, l.Gateways)
	_, err := io.WriteString(w, b.String())
	return err //nolint:wrapcheck // the caller's own writer
}

// writeUnanswered writes which gateways did not answer, and why.
func writeUnanswered(b *strings.Builder, unanswered []Unanswered, asked int) {
	if len(unanswered) == 0 {
		return
	}
	fmt.Fprintf(b, "%d of %d gateways did not answer, so their clients are missing:\n", len(unanswered), asked)
	for _, one := range unanswered {
		fmt.Fprintf(b, "  %s: %s\n", one.Pod, printable(one.Reason))
	}
}

// channelsText returns the first channels of a connection, and how many more there are.
func (c Connection) channelsText() string {
	shown := make([]string, 0, maxChannelsShown)
	for _, name := range c.Channels[:min(maxChannelsShown, len(c.Channels))] {
		shown = append(shown, printable(name))
	}
	text := strings.Join(shown, ",")
	if more := len(c.Channels) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// printable returns text that a client has chosen as it is, or quoted when it would control the terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(text)
	}
	return text
}
