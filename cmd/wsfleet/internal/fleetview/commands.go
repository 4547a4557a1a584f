package fleetview

import (
	"fmt"
	"io"
	"strings"
)

// Disconnect is a command that closes connections, and what it did.
type Disconnect struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Fleet     string `json:"fleet"`
	// User selects all connections of a user, and Connection selects one by its ID. One of the two is set.
	User       string `json:"user,omitempty"`
	Connection string `json:"connection,omitempty"`
	// Connections is the number of connections that there were when the command was sent, or nil when it is not known.
	Connections *int `json:"connections,omitempty"`
	// Code and Reason are those of the close frame, and Reconnect says whether clients come back after the code.
	Code      int    `json:"code"`
	Reason    string `json:"reason"`
	Reconnect bool   `json:"reconnect"`
	// Revoked says that the user's tokens that were issued until now are refused.
	Revoked    bool         `json:"revoked,omitempty"`
	Unanswered []Unanswered `json:"unanswered,omitempty"`
}

// ReconnectsAfter reports whether clients come back after a close code, by the ranges of the Centrifuge protocol.
func ReconnectsAfter(code int) bool {
	return code >= 3000 && code < 3500 || code >= 4000 && code < 4500
}

// WriteText writes what was closed. It returns the error of w.
func (d Disconnect) WriteText(w io.Writer) error {
	var b strings.Builder
	closed := "the connections of user " + printable(d.User)
	switch {
	case d.Connection != "":
		closed = "connection " + printable(d.Connection)
	case d.Connections != nil && *d.Connections == 1:
		closed = "1 connection of user " + printable(d.User)
	case d.Connections != nil:
		closed = fmt.Sprintf("%d connections of user %s", *d.Connections, printable(d.User))
	}
	back := "stay away"
	if d.Reconnect {
		back = "come back"
	}
	if d.Connections != nil && *d.Connections == 0 {
		fmt.Fprintf(&b, "user %s has no connection\n", printable(d.User))
	} else {
		fmt.Fprintf(&b, "closed %s with %d (%s); clients %s after this code\n", closed, d.Code, printable(d.Reason), back)
	}
	if d.Revoked {
		fmt.Fprintf(&b, "the tokens of user %s that were issued until now are refused\n", printable(d.User))
	}
	writeNotReached(&b, d.Unanswered)
	_, err := io.WriteString(w, b.String())
	return err //nolint:wrapcheck // the caller's own writer
}

// Published is a publication, and where it is in its channel's history.
type Published struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Fleet     string `json:"fleet"`
	Channel   string `json:"channel"`
	// Offset and Epoch are absent in a channel without history.
	Offset uint64 `json:"offset,omitempty"`
	Epoch  string `json:"epoch,omitempty"`
	// Gateways is the number of gateways that it was sent to: one, unless they have no backplane.
	Gateways   int          `json:"gateways"`
	Unanswered []Unanswered `json:"unanswered,omitempty"`
}

// WriteText writes where the publication is. It returns the error of w.
func (p Published) WriteText(w io.Writer) error {
	var b strings.Builder
	switch {
	case p.Gateways > 1:
		fmt.Fprintf(&b, "published to %s on each of %d gateways, which have no backplane\n", p.Channel, p.Gateways)
	case p.Offset > 0:
		fmt.Fprintf(&b, "published to %s at offset %d of epoch %s\n", p.Channel, p.Offset, p.Epoch)
	default:
		fmt.Fprintf(&b, "published to %s, which has no history\n", p.Channel)
	}
	writeNotReached(&b, p.Unanswered)
	_, err := io.WriteString(w, b.String())
	return err //nolint:wrapcheck // the caller's own writer
}

// writeNotReached writes which gateways without a backplane a command did not reach.
func writeNotReached(b *strings.Builder, unanswered []Unanswered) {
	for _, one := range unanswered {
		fmt.Fprintf(b, "the clients of %s were not reached, as the fleet has no backplane: %s\n", one.Pod,
			printable(one.Reason))
	}
}
