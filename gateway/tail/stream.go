package tail

import (
	"context"
	"sync"

	"github.com/wsfleet/wsfleet/gateway/hub"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// maxQueuedBytes is the maximum size of the lines that wait for a reader, besides the history that it began with.
const maxQueuedBytes = 4 << 20

// Stream is one open stream. It implements hub.Subscriber.
type Stream struct {
	streams      *Streams
	subscription *hub.Subscription
	// ready has a token when lines or ended may have changed.
	ready chan struct{}

	// mu guards the fields below.
	mu sync.Mutex
	// lines wait for the reader. Each is JSON of a contract.TailLine.
	lines [][]byte
	// queued is the size of the lines, without those of the history.
	queued int
	// ended says why the stream has ended. It is empty before.
	ended string
}

// subscribe begins the stream. It returns an error when the broker does not answer.
func (s *Stream) subscribe(ctx context.Context, channel string, history int, positioned bool) error {
	subscription, err := s.streams.options.Hub.Subscribe(ctx, channel)
	if err != nil {
		return err
	}
	s.subscription = subscription
	started := contract.TailStarted{Channel: channel}
	if !positioned {
		subscription.Attach(s, hub.AttachOptions{}, func() { s.begin(started, hub.AttachResult{}) })
		return nil
	}
	since, err := s.streams.since(ctx, channel, history)
	if err != nil {
		return err
	}
	// A reader of a channel with history is told when it misses something.
	return subscription.AttachPositioned(ctx, s, hub.AttachOptions{Positioned: true}, since, func(r hub.AttachResult) {
		started.Offset, started.Epoch, started.History = r.Offset, r.Epoch, len(r.Publications)
		s.begin(started, r)
		if !r.Recovered {
			s.end("the history has changed while it was read: begin again")
		}
	})
}

// begin queues the first line, and those of the history. It does not block.
func (s *Stream) begin(started contract.TailStarted, r hub.AttachResult) {
	first, err := marshal(contract.TailLine{Started: &started})
	lines := [][]byte{first}
	for _, p := range r.Publications {
		var line []byte
		if line, err = encode(p); err != nil {
			break
		}
		lines = append(lines, line)
	}
	s.mu.Lock()
	s.lines = lines
	s.mu.Unlock()
	s.wake()
	if err != nil {
		s.end(unencodable)
	}
}

// Next blocks until there are lines or the stream ends, and returns both. ended says why it ends, and is empty while it
// goes on. Next returns neither when ctx ends first.
func (s *Stream) Next(ctx context.Context) (lines [][]byte, ended string) {
	for {
		if lines, ended = s.take(); len(lines) > 0 || ended != "" {
			return lines, ended
		}
		select {
		case <-s.ready:
		case <-ctx.Done():
			return nil, ""
		}
	}
}

// take returns the lines that wait, which do not wait any more.
func (s *Stream) take() (lines [][]byte, ended string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lines = s.lines
	s.lines, s.queued = nil, 0
	return lines, s.ended
}

// push queues a line, or ends the stream of a reader that does not keep up.
func (s *Stream) push(line []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.ended != "":
		return false
	case s.queued > 0 && s.queued+len(line) > maxQueuedBytes:
		s.ended = "the reader is slower than the channel, and publications were lost: begin again"
	default:
		s.lines, s.queued = append(s.lines, line), s.queued+len(line)
	}
	s.wake()
	return s.ended == ""
}

// end ends the stream. Only the first call counts.
func (s *Stream) end(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended == "" {
		s.ended = why
	}
	s.wake()
}

// wake lets Next look again.
func (s *Stream) wake() {
	select {
	case s.ready <- struct{}{}:
	default:
	}
}

// Close ends the subscription.
func (s *Stream) Close() {
	if s.subscription != nil {
		s.subscription.Release()
	}
	s.streams.remove(s)
}
