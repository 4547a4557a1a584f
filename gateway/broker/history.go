package broker

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/wsfleet/wsfleet/internal/channel"
)

// HistoryReader reads the streams of channels.
type HistoryReader interface {
	// History reads a part of a channel's stream. It returns ErrUnavailable when the broker cannot be reached.
	History(ctx context.Context, channel string, q HistoryQuery) (Stream, error)
}

// History reads and removes the streams of channels. Publish appends to them.
type History interface {
	HistoryReader
	// RemoveHistory removes a channel's publications. The position stays, so that subscribers that have received them all
	// miss nothing. It returns ErrUnavailable when the broker cannot be reached.
	RemoveHistory(ctx context.Context, channel string) error
	// EndEpoch removes a channel's publications and the position: the stream begins again in another epoch. It returns
	// ErrUnavailable when the broker cannot be reached.
	EndEpoch(ctx context.Context, channel string) error
}

// HistoryQuery is which part of a stream to read.
type HistoryQuery struct {
	// Limit is the maximum number of publications. 0 reads the top position only; a negative limit reads all.
	Limit int
	// Since is the position to read on from, without the publication that is there. It may have no epoch. Nil stands for
	// the beginning of the stream, or for its end in reverse.
	Since *Position
	// Reverse reads from newer to older publications.
	Reverse bool
	// MaxBytes bounds the sum of the publications' Size. At least one publication is returned. 0 is no bound.
	MaxBytes int
}

// Stream is a part of a channel's stream.
type Stream struct {
	// Publications follow each other without a gap. There are none when the query's Since is of another epoch than Top.
	Publications []Publication
	// Top is the position of the latest publication. A stream without a publication has offset 0 and an epoch, which its
	// first publication keeps.
	Top Position
}

const (
	epochLetters = "0123456789abcdefghijklmnopqrstuvwxyz"
	epochLength  = 8
)

// NewEpoch returns a random name for an epoch. It is no secret: two epochs of a channel must differ, and that is all.
func NewEpoch() string {
	var name [epochLength]byte
	for i := range name {
		name[i] = epochLetters[rand.IntN(len(epochLetters))]
	}
	return string(name[:])
}

// minPositionTTL is the minimum time that a stream's position is kept.
const minPositionTTL = 24 * time.Hour

// EmptyTTL is how long the epoch of a stream without a publication is kept after a read. It is short because clients
// can read as many channels as they can invent names for.
const EmptyTTL = 10 * time.Minute

// PositionTTL returns how long a stream's epoch and top offset are kept after the latest publication. They outlive the
// publications, so that a client that has missed nothing can be told so.
func PositionTTL(h channel.History) time.Duration {
	return max(minPositionTTL, 2*time.Duration(h.TTL))
}
