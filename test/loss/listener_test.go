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

	"github.com/wsfleet/wsfleet/internal/contract"
)

// listener is one client of the SDK and what it has heard. It dials any gateway that takes it, as
// through a load balancer.
type listener struct {
	name   string
	fleet  fleet
	press  *press
	client *centrifuge.Client
	books  map[int]*book

	// restless: it unsubscribes now and then, and comes back.
	restless bool
	// slow: it does not read much at once.
	slow bool

	mu   sync.Mutex
	conn *line
	// away is until when no gateway can be reached.
	away time.Time
	// connects counts connections; ended says why there will be no more.
	connects int
	ended    []string
}

const (
	// longestAway is how long a client that was cut may be away; many are back at once.
	longestAway = 3 * time.Second
	// longestStall is how long a client may not read.
	longestStall = time.Second
	// Every third client is restless: it unsubscribes after one of so many publications, and half of the
	// times is away for up to longestLeave.
	restlessOnes = 3
	restlessness = 100
	longestLeave = time.Second
	// slowOnes of as many clients as there are channels are slow, of both encodings, and of those that have
	// the most large channels.
	slowOnes = 7
)

// channelOf is the nth channel of a listener.
func channelOf(listener, n int) int { return (listener + n*channels/perListener) % channels }

// tell puts into all of the client's stories what happened to it.
func (l *listener) tell(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	for _, b := range l.books {
		b.story.tell("%s", what)
	}
}

// listen connects all listeners, half of them in each encoding, and returns when all are subscribed.
func listen(t *testing.T, f fleet, p *press) []*listener {
	t.Helper()
	all := make([]*listener, 0, listeners)
	for i := range listeners {
		l := &listener{
			name:     "listener " + strconv.Itoa(i),
			fleet:    f,
			press:    p,
			books:    map[int]*book{},
			restless: i%restlessOnes == 0,
			slow:     i%channels < slowOnes,
		}
		l.connect(t, i)
		all = append(all, l)
	}
	for _, l := range all {
		for _, b := range l.books {
			select {
			case <-b.complete:
			case <-time.After(patience):
				t.Fatalf("%s is not subscribed to %d: %v", l.name, b.channel, b.story.told())
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
	l.client.OnError(func(e centrifuge.ErrorEvent) {
		// That it is away it says with every try.
		if !l.isAway() {
			l.tell("error: %v", e.Error)
		}
	})
	for n := range perListener {
		l.subscribe(t, channelOf(i, n))
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
	b := newBook(l.name, channel, l.press.script)
	l.books[channel] = b
	s, err := l.client.NewSubscription(channelName(channel), centrifuge.SubscriptionConfig{
		MinResubscribeDelay: 50 * time.Millisecond, MaxResubscribeDelay: time.Second,
	})
	require.NoError(t, err)
	s.OnSubscribed(func(e centrifuge.SubscribedEvent) { b.subscribed(e, l.press.last[channel].Load()) })
	s.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		// Code 0 is the client's own wish.
		if e.Code >= 100 {
			b.ended(e)
			l.end("unsubscribed from %s: %d %s", channelName(channel), e.Code, e.Reason)
		}
	})
	s.OnSubscribing(func(e centrifuge.SubscribingEvent) { b.story.tell("subscribing: %d %s", e.Code, e.Reason) })
	s.OnError(func(e centrifuge.SubscriptionErrorEvent) { b.story.tell("subscription: %v", e.Error) })
	s.OnPublication(func(e centrifuge.PublicationEvent) {
		b.publication(e.Offset, e.Data)
		if l.restless && rand.N(restlessness) == 0 {
			b.leave(s)
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
		if conn, err = dialer().DialContext(ctx, network, l.fleet[i].Addr); err != nil {
			continue
		}
		l.tell("dialed %s", l.fleet[i].Name)
		return l.takeLine(conn), nil
	}
	return nil, err
}

// takeLine makes a connection the client's.
func (l *listener) takeLine(conn net.Conn) *line {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = &line{Conn: conn, slow: l.slow}
	return l.conn
}

func (l *listener) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.away)
}

// cut severs the client's connection, whatever is on its way: it was not read, and will not be. The
// client is away for a time, so that it misses something.
func (l *listener) cut() {
	l.tell("is cut")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.away = time.Now().Add(rand.N(longestAway))
		_ = l.conn.Close()
	}
}

// stall makes the client read nothing for a time, while its connection is there.
func (l *listener) stall() {
	l.tell("stalls")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.stall(rand.N(longestStall))
	}
}
