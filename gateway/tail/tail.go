// Package tail streams the publications of a channel to the private port, so that operators of a fleet see what goes
// through it. A stream is a subscriber of the hub beside the clients: it needs no token of a client, is in no presence,
// and asks no hook. Package gateway makes the Streams that package admin serves.
package tail

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// MaxStreams is the maximum number of streams that are open at once.
const MaxStreams = 16

// The errors of Open.
var (
	// ErrUnavailable means that the broker does not answer.
	ErrUnavailable = errors.New("the gateway cannot reach its broker: try again")
	// ErrTooMany means that MaxStreams are open.
	ErrTooMany = fmt.Errorf("this gateway has %d readers of channels, which is its maximum: end one", MaxStreams)
	// ErrEnding means that the gateway ends.
	ErrEnding = errors.New("this gateway ends: ask another one")
	// ErrNoHistory means that a channel has no history to begin with.
	ErrNoHistory = errors.New("history: the channel's rule has no history: leave it out")
)

// Options configure Streams.
type Options struct {
	Hub *hub.Hub
	// History returns a part of a channel's stream, or broker.ErrUnavailable.
	History func(ctx context.Context, channel string, q broker.HistoryQuery) (broker.Stream, error)
	// CheckChannel returns an error that says what is wrong with a channel's name, or nil.
	CheckChannel func(name string) error
	// MaxHistoryBytes is the maximum size of the history that a stream begins with.
	MaxHistoryBytes int
}

// Streams are the open streams of a gateway. It is safe for use by many goroutines.
type Streams struct {
	options Options

	// mu guards the fields below.
	mu    sync.Mutex
	open  map[*Stream]struct{}
	ended bool
}

// New returns Streams of which none is open.
func New(o Options) *Streams { return &Streams{options: o, open: map[*Stream]struct{}{}} }

// Open opens a stream of a channel that begins with the latest publications of its history, as many as history says.
// The caller closes the stream. Open returns ErrUnavailable, ErrTooMany, ErrEnding, ErrNoHistory, or an error that says
// what is wrong with the channel's name.
func (s *Streams) Open(ctx context.Context, channel string, history int) (*Stream, error) {
	if err := s.options.CheckChannel(channel); err != nil {
		return nil, fmt.Errorf("%s: %w", contract.ParamChannel, err)
	}
	keepsHistory := s.options.Hub.Rule(channel).History.Size > 0
	if history > 0 && !keepsHistory {
		return nil, ErrNoHistory
	}
	stream := &Stream{streams: s, ready: make(chan struct{}, 1)}
	if err := s.add(stream); err != nil {
		return nil, err
	}
	if err := stream.subscribe(ctx, channel, history, keepsHistory); err != nil {
		stream.Close()
		return nil, ErrUnavailable
	}
	return stream, nil
}

// add registers a stream. It returns ErrTooMany or ErrEnding.
func (s *Streams) add(stream *Stream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended:
		return ErrEnding
	case len(s.open) >= MaxStreams:
		return ErrTooMany
	}
	s.open[stream] = struct{}{}
	return nil
}

// remove is the end of add.
func (s *Streams) remove(stream *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, stream)
}

// End ends all streams, and lets none be opened any more.
func (s *Streams) End() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for stream := range s.open {
		stream.end("the gateway ends: another one of the fleet goes on")
	}
}

// since returns the position before the latest publications of a channel, as many as n says and the size allows. It
// returns the broker's error.
func (s *Streams) since(ctx context.Context, channel string, n int) (*broker.Position, error) {
	latest, err := s.options.History(ctx, channel,
		broker.HistoryQuery{Limit: n, Reverse: true, MaxBytes: s.options.MaxHistoryBytes})
	if err != nil {
		return nil, err
	}
	at := latest.Top
	if count := len(latest.Publications); count > 0 {
		at.Offset = latest.Publications[count-1].Offset - 1
	}
	return &at, nil
}
