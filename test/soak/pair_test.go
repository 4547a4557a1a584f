package soak

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/test/wsclient"
)

// pair is two well-behaved clients, one of each protocol, that publish at a low rate during the whole round. Every
// message of either must reach both in order, and neither connection may end.
type pair struct {
	cancel context.CancelFunc
	group  *errgroup.Group
	// failed ends when one of the clients has failed.
	failed  context.Context
	clients []*wsclient.Conn
	// sent is the number of messages that each client has sent.
	sent [2]int
}

// sendInterval is the time between two messages of one client.
const sendInterval = 50 * time.Millisecond

func startPair(t *testing.T, address string) *pair {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pair{cancel: cancel}
	for _, protocol := range []wsclient.Protocol{wsclient.Plain, wsclient.Centrifuge} {
		c, err := wsclient.Dial(t.Context(), protocol, address, "calm pair", nil)
		require.NoError(t, err)
		p.clients = append(p.clients, c)
	}
	p.group, p.failed = errgroup.WithContext(t.Context())
	for i, c := range p.clients {
		p.group.Go(func() error { return p.send(ctx, i, c) })
		p.group.Go(func() error { return p.receive(i, c) })
	}
	return p
}

// send sends numbered messages until ctx ends, and then a message that is marked as the last.
func (p *pair) send(ctx context.Context, i int, c *wsclient.Conn) error {
	every := time.NewTicker(sendInterval)
	defer every.Stop()
	for {
		select {
		case <-p.failed.Done():
			return nil
		case <-ctx.Done():
			return c.Publish(p.failed, fmt.Sprintf("%d last %d", i, p.sent[i]))
		case <-every.C:
		}
		if err := c.Publish(p.failed, fmt.Sprintf("%d number %d", i, p.sent[i])); err != nil {
			return fmt.Errorf("client %d of the calm pair cannot send message %d: %w", i, p.sent[i], err)
		}
		p.sent[i]++
	}
}

// receive checks that the numbers of both clients arrive without a gap, until both have sent their last.
func (p *pair) receive(me int, c *wsclient.Conn) error {
	var next [2]int
	for ended := 0; ended < len(next); {
		// There is a message every sendInterval. None within the timeout means that the gateway has lost one or hangs.
		ctx, cancel := context.WithTimeout(p.failed, timeout)
		got, err := c.Receive(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("client %d of the calm pair after messages %v: %w", me, next, err)
		}
		var from, number int
		var word string
		// A Centrifuge client publishes JSON.
		if _, err := fmt.Sscan(strings.Trim(got, `"`), &from, &word, &number); err != nil || from < 0 || from >= len(next) {
			return fmt.Errorf("client %d of the calm pair got %q", me, got)
		}
		if number != next[from] {
			return fmt.Errorf("client %d of the calm pair got message %d of client %d, want %d", me, number, from, next[from])
		}
		if word == "last" {
			ended++
			continue
		}
		next[from]++
	}
	return nil
}

// stop makes both clients send their last message, and counts the messages.
func (p *pair) stop(t *testing.T, y *tally) {
	t.Helper()
	p.cancel()
	err := p.group.Wait()
	require.NoError(t, err)
	for i, c := range p.clients {
		if err := c.Close(); err != nil {
			y.fail("calm pair", errors.Join(errors.New("close"), err))
		}
		for range p.sent[i] {
			y.count("calm pair", "messages of "+strconv.Itoa(i)+" that reached both")
		}
	}
}
