package loss

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// book is what a client has heard of one channel.
type book struct {
	listener string
	channel  int
	script   *script
	// story is what happened to the client, and to it in the channel.
	story story

	mu sync.Mutex
	// first is the number it began with, last the highest so far.
	first, last uint64
	heard       map[uint64]bool

	deliveries, duplicated, reordered, garbled int
	recovered, unrecovered                     int
	// left is how often the client unsubscribed and came back.
	left int
	// restored are the publications that it had missed when it came back, and mostRestored is how many
	// bytes it was behind at most.
	restored     uint64
	mostRestored int
	// wrong is what must not happen.
	wrong []moment
	// complete is closed when last is what was waited for.
	wanted   uint64
	complete chan struct{}
}

func newBook(listener string, channel int, s *script) *book {
	return &book{listener: listener, channel: channel, script: s, heard: map[uint64]bool{}, complete: make(chan struct{})}
}

// subscribed takes note of where the client is; latest is the last number of the channel.
func (b *book) subscribed(e centrifuge.SubscribedEvent, latest uint64) {
	b.story.tell("subscribed at %d of %s, recovering %v, recovered %v; the latest number is %d", e.StreamPosition.Offset,
		e.StreamPosition.Epoch, e.WasRecovering, e.Recovered, latest)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.WasRecovering && e.Recovered:
		b.recovered++
		// What the answer brings comes after it: the position is that from which it goes on.
		if latest > b.last {
			b.restored += latest - b.last
			b.mostRestored = max(b.mostRestored, b.script.bytes(b.channel, b.last, latest))
		}
	case !e.WasRecovering && b.first == 0:
		b.first = e.StreamPosition.Offset + 1
		b.last = e.StreamPosition.Offset
		close(b.complete)
	default:
		// It began anew, as if it had never been there.
		b.unrecovered++
		b.blame("it could not go on from %d, %d bytes before %d", b.last, b.script.bytes(b.channel, b.last, latest), latest)
	}
}

// ended notes that the gateway ended the subscription for good.
func (b *book) ended(e centrifuge.UnsubscribedEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blame("it was unsubscribed: %d %s", e.Code, e.Reason)
}

// publication takes what came at an offset, which is the number that was published there.
func (b *book) publication(number uint64, data []byte) {
	b.story.tell("got %d", number)
	fault := b.script.fault(b.channel, number, data)
	b.mu.Lock()
	defer b.mu.Unlock()
	if fault != "" {
		b.garbled++
		b.blame("what came at offset %d is not number %d: %s", number, number, fault)
	}
	b.hear(number)
}

// hear takes a number; the book is locked.
func (b *book) hear(number uint64) {
	b.deliveries++
	switch before := b.last; {
	case b.heard[number]:
		b.duplicated++
		b.blame("number %d, offset %d, came twice; %d was the highest before", number, number, before)
	case number < before:
		b.reordered++
		b.blame("number %d, offset %d, came after %d", number, number, before)
	case number > before+1:
		// They are lost unless they come late.
		b.blame("number %d, offset %d, and what else is before %d, did not come after %d", before+1, before+1, number, before)
	}
	b.heard[number] = true
	b.last = max(b.last, number)
	if b.wanted > 0 && b.last >= b.wanted {
		b.finish()
	}
}

// leave unsubscribes and comes back, at once or after a time: the SDK goes on from where it was. It is for
// a publication's handler. While that runs the SDK cannot be about to subscribe: it would take the answer
// to a subscription that it has ended since for that to the next.
func (b *book) leave(s *centrifuge.Subscription) {
	b.mu.Lock()
	b.left++
	b.mu.Unlock()
	b.story.tell("unsubscribes")
	// They fail when the client is closed, at the end.
	_ = s.Unsubscribe()
	if rand.N(2) == 0 {
		_ = s.Subscribe()
		return
	}
	time.AfterFunc(rand.N(longestLeave), func() { _ = s.Subscribe() })
}

// blame notes what went wrong, and keeps the story of it; the book is locked.
func (b *book) blame(format string, args ...any) {
	m := moment{time.Now(), fmt.Sprintf(format, args...)}
	if len(b.wrong) < mostWrong {
		b.wrong = append(b.wrong, m)
	}
	b.story.tell("WRONG: %s", m.what)
	b.story.keep()
}

func (b *book) finish() {
	select {
	case <-b.complete:
	default:
		close(b.complete)
	}
}

// want begins to wait for a number; complete is closed when it has come.
func (b *book) want(number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wanted, b.complete = number, make(chan struct{})
	if b.last >= number {
		b.finish()
	}
}

// missing are the numbers that never came; the book is locked.
func (b *book) missing() (out []uint64) {
	for n := b.first; n <= b.wanted; n++ {
		if !b.heard[n] {
			out = append(out, n)
		}
	}
	return out
}

func (b *book) isWrong() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.wrong) > 0 || len(b.missing()) > 0
}

func (b *book) blamed() []moment {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.wrong)
}

// wrongAt is when something went wrong first. What never came is found at the end.
func (b *book) wrongAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.wrong) > 0 {
		return b.wrong[0].at
	}
	return time.Now()
}

func (b *book) summary() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := b.missing()
	return fmt.Sprintf(
		"%s in %s: first %d, last %d of %d; lost %d%s, duplicated %d, reordered %d, garbled %d, not recovered %d times",
		b.listener, channelName(b.channel), b.first, b.last, b.wanted, len(missing), some(missing), b.duplicated, b.reordered,
		b.garbled, b.unrecovered)
}

// some are the first of many.
func some(numbers []uint64) string {
	if len(numbers) == 0 {
		return ""
	}
	return fmt.Sprintf(" (numbers %v...)", numbers[:min(len(numbers), mostWrong)])
}
