package interop

import (
	"context"
	"sync"
	"time"
)

// event is one thing that happened to a client: the adapter reports what the application sees, the tap what passes on
// the wire.
type event struct {
	ID int `json:"id"`
	// Kind is one of the kinds below.
	Kind string `json:"event"`
	// Text is what the application sees, a message, or an error.
	Text string `json:"text"`
	// Size is the length of a message that is too long to be given as Text.
	Size int `json:"size"`
	// Last is set for the last thing that an application sees of a connection.
	Last bool `json:"last"`
	// Code is an HTTP status or a close code.
	Code int `json:"code"`
	// at is when the event arrived.
	at time.Time
	// Versions are the versions of the stacks, in the adapter's first event.
	Versions map[string]string `json:"versions"`
}

// Kinds of events.
const (
	// kindOpen means that the application may send.
	kindOpen = "open"
	// kindMessage is a message that the application got.
	kindMessage = "message"
	// kindSees is anything else that the application sees, in the words of the table.
	kindSees = "sees"
	// kindEnded means that a reconnect layer says that it gives up.
	kindEnded = "ended"
	// kindFailed means that the adapter could not do what it was told.
	kindFailed = "failed"
	// kindAttempt is a request that arrived at the tap.
	kindAttempt = "attempt"
	// kindStatus is the answer to it.
	kindStatus = "status"
	// kindPong is a pong frame of the client, kindClose its close frame.
	kindPong  = "pong"
	kindClose = "close"
	// kindGone is the end of what the client gets on a connection.
	kindGone = "gone"
	// kindFragment is the first fragment of a message of the client.
	kindFragment = "fragment"
)

// feed is the list of a client's events in the order in which they arrived.
type feed struct {
	// mu guards the fields below.
	mu      sync.Mutex
	events  []event
	changed chan struct{}
}

func newFeed() *feed { return &feed{changed: make(chan struct{})} }

func (f *feed) add(e event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	e.at = time.Now()
	f.events = append(f.events, e)
	close(f.changed)
	f.changed = make(chan struct{})
}

// since returns the events from an index on, and a channel that is closed when there are more.
func (f *feed) since(from int) ([]event, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events[from:len(f.events):len(f.events)], f.changed
}

// length returns the index that the next event will have.
func (f *feed) length() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.events)
}

// await blocks until an event from the index on matches, and returns the event and the index behind it. It returns the
// error of ctx.
func (f *feed) await(ctx context.Context, from int, match func(event) bool) (event, int, error) {
	for {
		events, changed := f.since(from)
		for i, e := range events {
			if match(e) {
				return e, from + i + 1, nil
			}
		}
		from += len(events)
		select {
		case <-changed:
		case <-ctx.Done():
			return event{}, from, ctx.Err()
		}
	}
}

// ofKind returns a match for any of these kinds.
func ofKind(kinds ...string) func(event) bool {
	return func(e event) bool {
		for _, kind := range kinds {
			if e.Kind == kind {
				return true
			}
		}
		return false
	}
}
