// Package broker says what carries messages between gateways and what all of them share: streams of
// publications, who is present, which user is where. The gateway above it does not know whether that
// is this process's memory or Redis.
package broker

import (
	"context"
	"errors"
	"time"

	"github.com/wsfleet/wsfleet/internal/channel"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// Kind is what a message in a channel tells.
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
	// Binary tells a binary frame from a text frame.
	Binary bool
	// Info is the client that published, when it was one.
	Info *ClientInfo
	Tags map[string]string
	// Position is where the channel's stream has it; zero in a channel without history.
	Position
}

// Position is a place in a channel's stream. Offsets begin at 1 and have no gaps; those of two epochs
// have nothing to do with each other. An epoch ends when a stream is lost, removed or forgotten, and when
// another server takes over that may lack some of it.
type Position struct {
	Offset uint64
	Epoch  string
}

// ClientInfo is who a client is, as others may see it. ConnInfo and ChanInfo are JSON, or empty.
type ClientInfo struct {
	Client   string
	User     string
	ConnInfo []byte
	ChanInfo []byte
}

// IdempotencyTTL is how long the first result of an idempotent publish is remembered.
const IdempotencyTTL = 5 * time.Minute

// PublishOptions are how a publication is kept.
type PublishOptions struct {
	// History of the channel, as its rule says. With a size of 0 the publication has no position.
	History channel.History
	// IdempotencyKey makes a repetition within IdempotencyTTL return the first one's result instead of
	// being published. It counts per channel. The same key with another Data or Binary is
	// ErrIdempotencyConflict.
	IdempotencyKey string
	// Fingerprint is what the key was used for, where that is not the publication; zero: it is.
	Fingerprint Fingerprint
}

// Used is what the idempotency key stands for.
func (o PublishOptions) Used(p Publication) Fingerprint {
	if o.Fingerprint == (Fingerprint{}) {
		return FingerprintOf(p)
	}
	return o.Fingerprint
}

// PublishResult is what became of a publication.
type PublishResult struct {
	Position
	// Repeated: it was published before, with the same idempotency key, and not again.
	Repeated bool
}

// HistoryQuery is which part of a stream to read.
type HistoryQuery struct {
	// Limit of publications; 0 reads the position only, a negative one all.
	Limit int
	// Since is a position to read on from: after it, or before it in reverse. Nil is the beginning, or
	// the end in reverse.
	Since   *Position
	Reverse bool
	// Bytes ends the part early: it is as many publications as fit into so many bytes, by their Size, and
	// one at least. 0: any number.
	Bytes int
}

// Stream is part of a channel's history. Its publications follow each other without a gap. When the
// epoch of Since is not Top's, there are none.
type Stream struct {
	Publications []Publication
	// Top is the position of the latest publication. A stream that has had none yet has an epoch all the
	// same, which its first publication keeps.
	Top Position
}

// PublicationHandler takes the publications of the channels that this gateway subscribes to. The hub implements it.
type PublicationHandler interface {
	// Deliver hands a publication to the subscribers of this gateway. It must not wait for a subscriber. The broker
	// calls it for one channel at a time, in the order of the channel's stream, and for several channels at once.
	Deliver(channel string, p Publication)
	// Resumed reports that the broker delivers a channel again after it has lost its connection: publications of the
	// time between may be missing. It must not block.
	Resumed(channel string)
}

// MessageHandler takes the messages that gateways send to this one. The RPC between gateways implements it.
type MessageHandler interface {
	// OnMessage takes one message, of another gateway or of this one. It must not block, and may keep the bytes.
	OnMessage(message []byte)
}

// Broker carries publications from any gateway to all that subscribed to the channel.
type Broker interface {
	// Kind is the broker's name in configuration and reports.
	Kind() string
	// Publish returns when the broker has taken the publication. ErrUnavailable means that it has
	// not, or that nobody knows: with an idempotency key it is safe to try again.
	Publish(ctx context.Context, channel string, p Publication, o PublishOptions) (PublishResult, error)
	// Subscribe asks for a channel's publications and returns at once. confirmed is called when
	// everything published from then on will be delivered. A broker that is away keeps the wish, until
	// Unsubscribe.
	Subscribe(channel string, confirmed func())
	Unsubscribe(channel string)
	// History reads a channel's stream.
	History(ctx context.Context, channel string, q HistoryQuery) (Stream, error)
	// RemoveHistory forgets a channel's publications; the epoch ends with them.
	RemoveHistory(ctx context.Context, channel string) error
	Status() Status
	// Run carries publications and messages to their handlers until the context ends. The caller calls it once. What
	// subscribed before is confirmed once Run has the handlers. messages may be nil: then they are dropped.
	Run(ctx context.Context, publications PublicationHandler, messages MessageHandler) error

	Presence
	Directory
}

// Status is whether messages flow. Err says why not; it holds no secret.
type Status struct {
	State contract.BrokerState
	Err   error
}

// What callers of a broker can meet.
var (
	// ErrUnavailable is a broker that is away.
	ErrUnavailable = errors.New("broker unavailable")
	// ErrIdempotencyConflict is a key that was used for something else.
	ErrIdempotencyConflict = errors.New("the idempotency key was used with other data")
	// ErrTooLarge is an answer that has no parts, and that is more than the caller wants.
	ErrTooLarge = errors.New("the answer is too large")
)
