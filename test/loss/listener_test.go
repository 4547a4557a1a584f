package loss

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/centrifugal/centrifuge-go"
	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/contract"
)

// listener is one client of the SDK and what it has heard. It dials any gateway that takes it, as
// through a load balancer.
type listener struct {
	name   string
	fleet  fleet
	press  *press
	client *centrifuge.Client
	books  map[int]*book

	mu   sync.Mutex
	conn net.Conn
	// away is until when no gateway can be reached.
	away time.Time
	// story is what happened to the client lately, for who has to explain a loss.
	story []string
	// connects counts connections; ended says why there will be no more.
	connects int
	ended    []string
}

// book is what a client has heard of one channel.
type book struct {
	mu sync.Mutex
	// first is the number it began with, last the highest so far.
	first, last uint64
	heard       map[uint64]bool

	deliveries, duplicated, reordered int
	recovered, unrecovered            int
	// restored are the publications that it had missed when it came back.
	restored uint64
	// complete is closed when last is what was waited for.
	wanted   uint64
	complete chan struct{}
}

const (
	// mostTold bounds a story.
	mostTold = 200
	// longestAway is how long a client that was cut may be away; many are back at once.
	longestAway = 3 * time.Second
)

func (l *listener) tell(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.story) == mostTold {
		l.story = l.story[1:]
	}
	l.story = append(l.story, time.Now().Format("05.000 ")+fmt.Sprintf(format, args...))
}

// listen connects all listeners, half of them in each encoding, and returns when all are subscribed.
func listen(t *testing.T, f fleet, p *press) []*listener {
	t.Helper()
	all := make([]*listener, 0, listeners)
	for i := range listeners {
		l := &listener{name: "listener " + strconv.Itoa(i), fleet: f, press: p, books: map[int]*book{}}
		l.connect(t, i)
		all = append(all, l)
	}
	for _, l := range all {
		for _, b := range l.books {
			select {
			case <-b.complete:
			case <-time.After(patience):
				l.explainAll(t)
				t.Fatalf("%s is not subscribed", l.name)
			}
		}
	}
	return all
}

func (l *listener) connect(t *testing.T, i int) {
	t.Helper()
	create := centrifuge.NewJsonClient
	if i%2 == 1 {
		create = centrifuge.NewProtobufClient
	}
	// The address is only a name: dial says where it is.
	l.client = create("ws://fleet"+contract.PathCentrifuge, centrifuge.Config{
		NetDialContext:    l.dial,
		MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 500 * time.Millisecond,
		// A client whose connection breaks while it says hello waits for the answer all the same.
		ReadTimeout: 3 * time.Second, HandshakeTimeout: 3 * time.Second,
	})
	t.Cleanup(l.client.Close)
	l.client.OnConnecting(func(e centrifuge.ConnectingEvent) { l.tell("connecting: %d %s", e.Code, e.Reason) })
	l.client.OnConnected(func(e centrifuge.ConnectedEvent) {
		l.tell("connected as %s", e.ClientID)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.connects++
	})
	l.client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		if e.Code != 0 {
			l.end("disconnected: %d %s", e.Code, e.Reason)
		}
	})
	l.client.OnError(func(e centrifuge.ErrorEvent) { l.tell("error: %v", e.Error) })
	for n := range perListener {
		l.subscribe(t, (i+n*channels/perListener)%channels)
	}
	// It tries again by itself.
	_ = l.client.Connect()
}

func (l *listener) end(format string, args ...any) {
	l.tell(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, l.name+" "+fmt.Sprintf(format, args...))
}

func (l *listener) subscribe(t *testing.T, channel int) {
	t.Helper()
	b := &book{heard: map[uint64]bool{}, complete: make(chan struct{})}
	l.books[channel] = b
	s, err := l.client.NewSubscription(channelName(channel), centrifuge.SubscriptionConfig{
		MinResubscribeDelay: 50 * time.Millisecond, MaxResubscribeDelay: time.Second,
	})
	require.NoError(t, err)
	s.OnSubscribed(func(e centrifuge.SubscribedEvent) {
		l.tell("subscribed to %d at %v, recovering %v, recovered %v", channel, *e.StreamPosition, e.WasRecovering, e.Recovered)
		b.subscribed(e, l.press.last[channel].Load())
	})
	s.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		// Below 2000 it is the client that wanted it, at the end of the test.
		if e.Code >= 100 {
			l.end("unsubscribed from %d: %d %s", channel, e.Code, e.Reason)
		}
	})
	s.OnSubscribing(func(e centrifuge.SubscribingEvent) {
		if e.Code > 1 {
			l.tell("subscribing to %d again: %d %s", channel, e.Code, e.Reason)
		}
	})
	s.OnError(func(e centrifuge.SubscriptionErrorEvent) { l.tell("subscription to %d: %v", channel, e.Error) })
	s.OnPublication(func(e centrifuge.PublicationEvent) {
		number, err := strconv.ParseUint(string(e.Data), 10, 64)
		if err != nil || number != e.Offset {
			l.end("got %q at offset %d of %d", e.Data, e.Offset, channel)
			return
		}
		if before, ok := b.hear(number); !ok {
			l.tell("%d of %d after %d", number, channel, before)
		}
	})
	require.NoError(t, s.Subscribe())
}

// errAway is a client without a network.
var errAway = errors.New("away")

// dial goes to any gateway, and to another one when that does not answer.
func (l *listener) dial(ctx context.Context, network, _ string) (conn net.Conn, err error) {
	if l.isAway() {
		return nil, errAway
	}
	for _, i := range rand.Perm(len(l.fleet)) {
		if conn, err = new(net.Dialer).DialContext(ctx, network, l.fleet[i].Addr); err != nil {
			continue
		}
		l.tell("dialed %s", l.fleet[i].Name)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conn = conn
		return conn, nil
	}
	return nil, err
}

func (l *listener) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.away)
}

// cut severs the client's connection, whatever is on its way: it was not read, and will not be. The
// client is away for a time, so that it misses something.
func (l *listener) cut() {
	l.tell("cut")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.away = time.Now().Add(rand.N(longestAway))
		_ = l.conn.Close()
	}
}

// explain tells the story of a client that missed something.
func (l *listener) explain(t *testing.T) {
	t.Helper()
	for channel, b := range l.books {
		b.mu.Lock()
		if missing := b.missing(); len(missing) > 0 || b.duplicated+b.reordered+b.unrecovered > 0 {
			t.Logf("%s, channel %d: first %d, last %d of %d, missing %v", l.name, channel, b.first, b.last, b.wanted, missing)
			defer l.explainAll(t)
		}
		b.mu.Unlock()
	}
}

func (l *listener) explainAll(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.story {
		t.Log(l.name, line)
	}
}

func (b *book) subscribed(e centrifuge.SubscribedEvent, latest uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case e.WasRecovering && e.Recovered:
		b.recovered++
		// What the answer brings comes after it: the position is that from which it goes on.
		if latest > b.last {
			b.restored += latest - b.last
		}
	case e.WasRecovering:
		b.unrecovered++
	case b.complete != nil && b.first == 0:
		b.first = e.StreamPosition.Offset + 1
		b.last = e.StreamPosition.Offset
		close(b.complete)
	default:
		// It began anew, as if it had never been there.
		b.unrecovered++
	}
}

// hear takes a number, and says which was the highest before and whether this one is the next.
func (b *book) hear(number uint64) (before uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.deliveries++
	switch before = b.last; {
	case b.heard[number]:
		b.duplicated++
	case number < before:
		b.reordered++
	}
	b.heard[number] = true
	b.last = max(before, number)
	if b.wanted > 0 && b.last >= b.wanted {
		b.finish()
	}
	return before, number == before+1
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
