package broker

import (
	"crypto/sha256"
)

// Kind is what a message in a channel is.
type Kind byte

// The kinds of message. A join or a leave has Info and nothing else.
const (
	KindPublication Kind = iota
	KindJoin
	KindLeave
)

// Publication is one message in a channel.
type Publication struct {
	Kind Kind
	Data []byte
	// Binary is true for data that clients get in a binary frame, false for a text frame.
	Binary bool
	// Info is the client that published, or nil when the backend published.
	Info *ClientInfo
	Tags map[string]string
	// Position is the publication's position in the channel's stream. It is zero in a channel without history.
	Position
}

// Position is a position in a channel's stream. Offsets begin at 1 and have no gaps. Offsets of two epochs cannot be
// compared. An epoch ends when the stream is lost or has expired, and when another server takes over that may lack
// a part of it.
type Position struct {
	Offset uint64
	Epoch  string
}

// InEpoch reports whether the position is one of the epoch. A position without an epoch is one of any: a client that
// does not know the epoch asks for what the stream has behind the offset.
func (p Position) InEpoch(epoch string) bool { return p.Epoch == "" || p.Epoch == epoch }

// ClientInfo is a client as other clients see it.
type ClientInfo struct {
	// Client is the connection's ID.
	Client string
	// User is empty for an anonymous client.
	User string
	// ConnInfo and ChanInfo are JSON, or empty.
	ConnInfo []byte
	ChanInfo []byte
}

// Fingerprint identifies the publication that an idempotency key was used for.
type Fingerprint [16]byte

// FingerprintOf returns the fingerprint of a publication's Data and Binary. Its other fields do not count.
func FingerprintOf(p Publication) Fingerprint {
	h := sha256.New()
	var kind byte
	if p.Binary {
		kind = 1
	}
	_, _ = h.Write([]byte{kind})
	_, _ = h.Write(p.Data)
	return Fingerprint(h.Sum(nil)[:len(Fingerprint{})])
}
