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

// listener is one client of the SDK, with a ledger for each of its channels. It dials any gateway that accepts it, as
// through a load balancer.
type listener struct {
	name      string
	fleet     fleet
	publisher *publisherSet
	client    *centrifuge.Client
	ledgers   map[int]*ledger

	// resubscribes is set when the client unsubscribes and subscribes again now and then.
	resubscribes bool
	// slow is set when the client reads slowly.
	slow bool

	// mu guards the fields below.
	mu   sync.Mutex
	conn *slowConn
	// awayUntil is the time before which the client has no network.
	awayUntil time.Time
	// connects counts connections. ended has the reasons why the client will not reconnect or resubscribe.
	connects int
	ended    []string
}

const (
	// maxAway is the maximum time for which a client has no network after a cut. Many reconnect at once.
	maxAway = 3 * time.Second
	// maxStall is the maximum time for which a client does not read.
	maxStall = time.Second
	// Every third client resubscribes: it unsubscribes after one of resubscribeEvery publications, and half of the times
	// subscribes again only after up to maxUnsubscribed.
	resubscriberEvery = 3
	resubscribeEvery  = 100
	maxUnsubscribed   = time.Second
	// slowListeners of as many clients as there are channels are slow. They include clients of both encodings and those
	// with the most large channels.
	slowListeners = 7
)

// channelOf returns the nth channel of a listener.
func channelOf(listener, n int) int { return (listener + n*channels/perListener) % channels }

// logEvent adds an event to the logs of all the client's channels.
func (l *listener) logEvent(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	for _, b := range l.ledgers {
		b.log.add("%s", what)
	}
}

// startListeners connects all listeners, half of them in each encoding, and blocks until all are subscribed.
func startListeners(t *testing.T, f fleet, p *publisherSet) []*listener {
	t.Helper()
	all := make([]*listener, 0, listeners)
	for i := range listeners {
		l := &listener{
			name:         "listener " + strconv.Itoa(i),
			fleet:        f,
			publisher:    p,
			ledgers:      map[int]*ledger{},
			resubscribes: i%resubscriberEvery == 0,
			slow:         i%channels < slowListeners,
		}
		l.connect(t, i)
		all = append(all, l)
	}
	for _, l := range all {
		for _, b := range l.ledgers {
			select {
			case <-b.complete:
			case <-time.After(timeout):
				t.Fatalf("%s is not subscribed to %d: %v", l.name, b.channel, b.log.events())
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
	// The host is not resolved: dial chooses a gateway.
	l.client = create("ws://fleet"+contract.PathCentrifuge, centrifuge.Config{
		NetDialContext:    l.dial,
		MinReconnectDelay: 50 * time.Millisecond, MaxReconnectDelay: 500 * time.Millisecond,
		// A client whose connection breaks during the connect command waits for the reply all the same.
		ReadTimeout: 3 * time.Second, HandshakeTimeout: 3 * time.Second,
	})
	t.Cleanup(l.client.Close)
	l.client.OnConnecting(func(e centrifuge.ConnectingEvent) { l.logEvent("connecting: %d %s", e.Code, e.Reason) })
	l.client.OnConnected(func(e centrifuge.ConnectedEvent) {
		l.logEvent("connected as %s", e.ClientID)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.connects++
	})
	l.client.OnDisconnected(func(e centrifuge.DisconnectedEvent) {
		if e.Code != 0 {
			l.addEnded("disconnected: %d %s", e.Code, e.Reason)
		}
	})
	l.client.OnError(func(e centrifuge.ErrorEvent) {
		// While the client has no network, every attempt is an error.
		if !l.isAway() {
			l.logEvent("error: %v", e.Error)
		}
	})
	for n := range perListener {
		l.subscribe(t, channelOf(i, n))
	}
	// The SDK retries by itself.
	_ = l.client.Connect()
}

func (l *listener) addEnded(format string, args ...any) {
	l.logEvent(format, args...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = append(l.ended, l.name+" "+fmt.Sprintf(format, args...))
}

func (l *listener) subscribe(t *testing.T, channel int) {
	t.Helper()
	b := newLedger(l.name, channel, l.publisher.script)
	l.ledgers[channel] = b
	s, err := l.client.NewSubscription(channelName(channel), centrifuge.SubscriptionConfig{
		MinResubscribeDelay: 50 * time.Millisecond, MaxResubscribeDelay: time.Second,
	})
	require.NoError(t, err)
	s.OnSubscribed(func(e centrifuge.SubscribedEvent) { b.subscribed(e, l.publisher.last[channel].Load()) })
	s.OnUnsubscribed(func(e centrifuge.UnsubscribedEvent) {
		// Code 0 means that the client has unsubscribed.
		if e.Code >= 100 {
			b.ended(e)
			l.addEnded("unsubscribed from %s: %d %s", channelName(channel), e.Code, e.Reason)
		}
	})
	s.OnSubscribing(func(e centrifuge.SubscribingEvent) { b.log.add("subscribing: %d %s", e.Code, e.Reason) })
	s.OnError(func(e centrifuge.SubscriptionErrorEvent) { b.log.add("subscription: %v", e.Error) })
	s.OnPublication(func(e centrifuge.PublicationEvent) {
		b.publication(e.Offset, e.Data)
		if l.resubscribes && rand.N(resubscribeEvery) == 0 {
			b.resubscribe(s)
		}
	})
	require.NoError(t, s.Subscribe())
}

// errAway says that the client has no network.
var errAway = errors.New("away")

// dial connects to the gateways in random order until one accepts.
func (l *listener) dial(ctx context.Context, network, _ string) (conn net.Conn, err error) {
	if l.isAway() {
		return nil, errAway
	}
	for _, i := range rand.Perm(len(l.fleet)) {
		if conn, err = dialer().DialContext(ctx, network, l.fleet[i].Addr); err != nil {
			continue
		}
		l.logEvent("dialed %s", l.fleet[i].Name)
		return l.wrapConn(conn), nil
	}
	return nil, err
}

// wrapConn makes conn the client's current connection.
func (l *listener) wrapConn(conn net.Conn) *slowConn {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conn = &slowConn{Conn: conn, slow: l.slow}
	return l.conn
}

func (l *listener) isAway() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Now().Before(l.awayUntil)
}

// cut closes the client's connection, so that data on its way is not read. The client has no network for a time, so
// that it misses publications.
func (l *listener) cut() {
	l.logEvent("is cut")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.awayUntil = time.Now().Add(rand.N(maxAway))
		_ = l.conn.Close()
	}
}

// stall makes the client read nothing for a time. Its connection stays open.
func (l *listener) stall() {
	l.logEvent("stalls")
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.conn.stall(rand.N(maxStall))
	}
}
