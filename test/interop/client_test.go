package interop

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// channels numbers the channels, so that each client has its own.
var channels atomic.Int64

// client is one connection that a stack's application wants to have, with its own tap and channel.
type client struct {
	stack   *stack
	adapter *adapter
	id      int
	tap     *tap
	// feed has what the adapter and the tap report.
	feed    *feed
	channel string
	// peer is nil when nothing has to be said to the client.
	peer *peer
}

// newClient makes a client that connects through HAProxy's frontend at the address when open is called.
func newClient(t *testing.T, f *fleet, s *stack, a *adapter, address string) *client {
	t.Helper()
	c := &client{stack: s, adapter: a, channel: fmt.Sprintf("interop-%d", channels.Add(1))}
	if !s.muted || s.greet != nil {
		c.peer = newPeer(t, f.serving.Addr, c.channel)
	}
	c.tap = newTap(t, s, c.channel, address, c.greet)
	c.feed = c.tap.feed
	c.id = a.attach(c.feed)
	return c
}

// greet says what the server of the stack's own protocol says to a new client.
func (c *client) greet() {
	if c.stack.greet == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := c.stack.greet(ctx, c.peer); err != nil {
		c.feed.add(event{Kind: kindFailed, Text: err.Error()})
	}
}

// do gives the adapter a command for this client.
func (c *client) do(t *testing.T, what command) {
	t.Helper()
	what.ID, what.Stack = c.id, c.stack.name
	require.NoError(t, c.adapter.send(what))
}

// open makes the application connect, and does not wait.
func (c *client) open(t *testing.T) {
	t.Helper()
	c.do(t, command{Do: "open", URL: c.url(), Channel: c.channel})
}

// opened makes the application connect, and blocks until it may send.
func (c *client) opened(t *testing.T) {
	t.Helper()
	c.open(t)
	c.await(t, 0, "open", ofKind(kindOpen))
}

func (c *client) url() string {
	path := c.stack.path
	if path == "" {
		path = "/ws?channel=" + c.channel
	}
	return "ws://" + c.tap.listener.Addr().String() + strings.ReplaceAll(path, "CHANNEL", c.channel)
}

// closed makes the application close its connection for good.
func (c *client) closed(t *testing.T) {
	t.Helper()
	c.do(t, command{Do: "close"})
}

// await blocks until an event from the index on matches, and returns the index behind it. It fails the test after the
// timeout.
func (c *client) await(t *testing.T, from int, what string, match func(event) bool) int {
	t.Helper()
	_, next := c.awaitEvent(t, from, what, match)
	return next
}

// awaitEvent is await for a caller that needs the event.
func (c *client) awaitEvent(t *testing.T, from int, what string, match func(event) bool) (event, int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	e, next, err := c.feed.await(ctx, from, match)
	if err != nil {
		t.Fatalf("%s: no %s after %v; %s", c.stack.name, what, timeout, c.history())
	}
	return e, next
}

// history returns the last events in short.
func (c *client) history() string {
	events, _ := c.feed.since(0)
	out := fmt.Sprintf("%d events", len(events))
	for _, e := range events[max(0, len(events)-20):] {
		out += fmt.Sprintf("; %s %s %d", e.Kind, e.Text, e.Code)
	}
	return out
}

// settle blocks until the application has seen what it sees of the end of its connection, and returns the index behind
// it: the last thing that its stack can report, or something, and then nothing more for a second.
func (c *client) settle(t *testing.T, from int) int {
	t.Helper()
	first := c.await(t, from, "word of the end", ofKind(kindSees, kindEnded))
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, last, err := c.feed.await(ctx, first-1, func(e event) bool { return e.Last || e.Kind == kindEnded })
	if err != nil {
		return first
	}
	return last
}

// comesBack reports whether the client connects again by itself after the moment at which it was sent away: whether a
// request arrives before the stack says that it gives up, and within the time in which the stack would come. Its
// application may send then.
func (c *client) comesBack(t *testing.T, from int, away time.Time) bool {
	t.Helper()
	ctx, cancel := context.WithDeadline(t.Context(), away.Add(c.stack.within+margin))
	defer cancel()
	e, next, err := c.feed.await(ctx, from, ofKind(kindAttempt, kindEnded))
	if err != nil || e.Kind == kindEnded {
		return false
	}
	c.await(t, next, "open after it came back", ofKind(kindOpen))
	return true
}

// margin is what the suite waits beyond the longest time that a stack waits before it comes back.
const margin = 3 * time.Second

// sees returns what the application sees from an index on, until it may send again or sees the same for the second
// time.
func (c *client) sees(from int) string {
	events, _ := c.feed.since(from)
	var seen []string
	for _, e := range events {
		if e.Kind == kindOpen {
			break
		}
		if e.Kind != kindSees {
			continue
		}
		text := clean(e.Text)
		if slices.Contains(seen, text) {
			break
		}
		seen = append(seen, text)
	}
	if seen == nil {
		return "nothing"
	}
	return strings.Join(seen, ", ")
}

var (
	localPort = regexp.MustCompile(`127\.0\.0\.1:\d+`)
	channelNo = regexp.MustCompile(`interop-\d+`)
)

// clean replaces what differs in each run.
func clean(text string) string {
	text = localPort.ReplaceAllString(text, "HOST")
	text = channelNo.ReplaceAllString(text, "CHANNEL")
	text = strings.Join(strings.Fields(text), " ")
	return strings.ReplaceAll(text, "|", `\|`)
}
