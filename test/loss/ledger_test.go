package loss

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/centrifugal/centrifuge-go"
)

// ledger records which publications of one channel a client has received.
type ledger struct {
	listener string
	channel  int
	script   *script
	// log has the recent events of the client and of its subscription.
	log eventLog

	// mu guards the fields below.
	mu sync.Mutex
	// first is the first number that the client should receive, last the highest so far.
	first, last uint64
	received    map[uint64]bool

	deliveries, duplicated, reordered, corrupted int
	recovered, unrecovered                       int
	// unsubscribed is how often the client unsubscribed and subscribed again.
	unsubscribed int
	// restored counts the publications that the client recovered. maxRestored is the maximum of the bytes that it was
	// behind.
	restored    uint64
	maxRestored int
	// problems are events that must not happen.
	problems []timedEvent
	// awaited is the number that await waits for. complete is closed when last has reached it.
	awaited  uint64
	complete chan struct{}
}

func newLedger(listener string, channel int, s *script) *ledger {
	return &ledger{
		listener: listener,
		channel:  channel,
		script:   s,
		received: map[uint64]bool{},
		complete: make(chan struct{}),
	}
}

// subscribed records the client's position. latest is the last number of the channel.
func (b *ledger) subscribed(e centrifuge.SubscribedEvent, latest uint64) {
	b.log.add("subscribed at %d of %s, recovering %v, recovered %v; the latest number is %d", e.StreamPosition.Offset,
		e.StreamPosition.Epoch, e.WasRecovering, e.Recovered, latest)
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.WasRecovering && e.Recovered:
		b.recovered++
		// The recovered publications follow: the position is the one before them.
		if latest > b.last {
			b.restored += latest - b.last
			b.maxRestored = max(b.maxRestored, b.script.bytes(b.channel, b.last, latest))
		}
	case !e.WasRecovering && b.first == 0:
		b.first = e.StreamPosition.Offset + 1
		b.last = e.StreamPosition.Offset
		close(b.complete)
	default:
		// The client has lost its position and begins at the end of the stream.
		b.unrecovered++
		b.addProblem("it could not go on from %d, %d bytes before %d", b.last, b.script.bytes(b.channel, b.last, latest),
			latest)
	}
}

// ended records that the gateway has ended the subscription for good.
func (b *ledger) ended(e centrifuge.UnsubscribedEvent) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addProblem("it was unsubscribed: %d %s", e.Code, e.Reason)
}

// publication records a publication and compares it with the script. Its offset is its number.
func (b *ledger) publication(number uint64, data []byte) {
	b.log.add("got %d", number)
	fault := b.script.fault(b.channel, number, data)
	b.mu.Lock()
	defer b.mu.Unlock()
	if fault != "" {
		b.corrupted++
		b.addProblem("what came at offset %d is not number %d: %s", number, number, fault)
	}
	b.count(number)
}

// count counts a number. The caller holds mu.
func (b *ledger) count(number uint64) {
	b.deliveries++
	switch before := b.last; {
	case b.received[number]:
		b.duplicated++
		b.addProblem("number %d, offset %d, came twice; %d was the highest before", number, number, before)
	case number < before:
		b.reordered++
		b.addProblem("number %d, offset %d, came after %d", number, number, before)
	case number > before+1:
		// The numbers between may still arrive late. Otherwise they are lost.
		b.addProblem("number %d, offset %d, and what else is before %d, did not come after %d", before+1, before+1, number,
			before)
	}
	b.received[number] = true
	b.last = max(b.last, number)
	if b.awaited > 0 && b.last >= b.awaited {
		b.markComplete()
	}
}

// resubscribe unsubscribes and subscribes again, at once or after a time. The SDK recovers from its position. It is
// called from a publication's handler only: while that runs, the SDK cannot be subscribing, and so it cannot take the
// reply to a subscription that has ended for the reply to the next.
func (b *ledger) resubscribe(subscription *centrifuge.Subscription) {
	b.mu.Lock()
	b.unsubscribed++
	b.mu.Unlock()
	b.log.add("unsubscribes")
	// The calls fail when the client is closed at the end.
	_ = subscription.Unsubscribe()
	if rand.N(2) == 0 {
		_ = subscription.Subscribe()
		return
	}
	time.AfterFunc(rand.N(maxUnsubscribed), func() { _ = subscription.Subscribe() })
}

// addProblem records a problem and freezes the log around it. The caller holds mu.
func (b *ledger) addProblem(format string, args ...any) {
	m := timedEvent{time.Now(), fmt.Sprintf(format, args...)}
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, m)
	}
	b.log.add("WRONG: %s", m.what)
	b.log.freeze()
}

func (b *ledger) markComplete() {
	select {
	case <-b.complete:
	default:
		close(b.complete)
	}
}

// await sets the number to wait for and replaces complete.
func (b *ledger) await(number uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.awaited, b.complete = number, make(chan struct{})
	if b.last >= number {
		b.markComplete()
	}
}

// missing returns the numbers that never arrived. The caller holds mu.
func (b *ledger) missing() (out []uint64) {
	for n := b.first; n <= b.awaited; n++ {
		if !b.received[n] {
			out = append(out, n)
		}
	}
	return out
}

func (b *ledger) hasProblems() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.problems) > 0 || len(b.missing()) > 0
}

func (b *ledger) problemList() []timedEvent {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.problems)
}

// firstProblemAt returns the time of the first problem; now when there is none, because lost numbers are found at the
// end.
func (b *ledger) firstProblemAt() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.problems) > 0 {
		return b.problems[0].at
	}
	return time.Now()
}

func (b *ledger) summary() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	missing := b.missing()
	return fmt.Sprintf(
		"%s in %s: first %d, last %d of %d; lost %d%s, duplicated %d, reordered %d, garbled %d, not recovered %d times",
		b.listener, channelName(b.channel), b.first, b.last, b.awaited, len(missing), firstOf(missing), b.duplicated,
		b.reordered, b.corrupted, b.unrecovered)
}

// firstOf formats the first of many numbers.
func firstOf(numbers []uint64) string {
	if len(numbers) == 0 {
		return ""
	}
	return fmt.Sprintf(" (numbers %v...)", numbers[:min(len(numbers), maxProblems)])
}
