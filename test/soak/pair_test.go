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

// pair are two clients, one of each protocol, that talk calmly all along: every message of either must reach both, in
// order, and nobody may be cut.
type pair struct {
	cancel  context.CancelFunc
	talking *errgroup.Group
	// failed ends when one of them saw what it should not.
	failed  context.Context
	clients []*wsclient.Conn
	// sent is how many messages each has sent.
	sent [2]int
}

// calm is the time between two messages of one client.
const calm = 50 * time.Millisecond

func meet(t *testing.T, address string) *pair {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p := &pair{cancel: cancel}
	for _, protocol := range []wsclient.Protocol{wsclient.Plain, wsclient.Centrifuge} {
		c, err := wsclient.Dial(t.Context(), protocol, address, "calm pair", nil)
		require.NoError(t, err)
		p.clients = append(p.clients, c)
	}
	p.talking, p.failed = errgroup.WithContext(t.Context())
	for i, c := range p.clients {
		p.talking.Go(func() error { return p.talk(ctx, i, c) })
		p.talking.Go(func() error { return p.listen(i, c) })
	}
	return p
}

// talk sends numbered messages, and a last one that says so.
func (p *pair) talk(ctx context.Context, i int, c *wsclient.Conn) error {
	every := time.NewTicker(calm)
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

// listen checks that the numbers of both come without a gap, until both have said their last.
func (p *pair) listen(me int, c *wsclient.Conn) error {
	var next [2]int
	for ended := 0; ended < len(next); {
		// A message every calm: the next one is late when the gateway has lost one, or stands still.
		ctx, cancel := context.WithTimeout(p.failed, patience)
		got, err := c.Receive(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("client %d of the calm pair after messages %v: %w", me, next, err)
		}
		var from, number int
		var word string
		// What a Centrifuge client publishes is JSON.
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

// part ends the talk and tells how it was.
func (p *pair) part(t *testing.T, y *tally) {
	t.Helper()
	p.cancel()
	err := p.talking.Wait()
	require.NoError(t, err)
	for i, c := range p.clients {
		if err := c.Close(); err != nil {
			y.fail("calm pair", errors.Join(errors.New("close"), err))
		}
		for range p.sent[i] {
			y.saw("calm pair", "messages of "+strconv.Itoa(i)+" that reached both")
		}
	}
}
