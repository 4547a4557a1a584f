package loss

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	// cutPause is the time between two cuts.
	cutPause = 40 * time.Millisecond
	// killPause is how long the fleet is whole between two kills.
	killPause = 2 * time.Second
	// watchPause is the time between two looks at a gateway.
	watchPause = 50 * time.Millisecond
)

// chaos kills, cuts and stalls.
type chaos struct {
	fleet     fleet
	listeners []*listener

	kills, cuts int
	// queued is the most that was seen to wait in a gateway for clients that do not read.
	queued float64
	// deeds are the kills.
	deeds annals
}

// run returns when the time is over and all gateways are there again.
func (c *chaos) run(ctx context.Context, t *testing.T) {
	t.Helper()
	var others sync.WaitGroup
	others.Go(func() { c.kill(ctx, t) })
	others.Go(func() { c.watch(ctx) })
	every := time.NewTicker(cutPause)
	defer every.Stop()
	for ctx.Err() == nil {
		select {
		case <-every.C:
			c.listeners[rand.N(len(c.listeners))].cut()
			c.cuts++
			c.listeners[rand.N(len(c.listeners))].stall()
		case <-ctx.Done():
		}
	}
	others.Wait()
}

// watch looks at what waits for clients, in one gateway after the other.
func (c *chaos) watch(ctx context.Context) {
	every := time.NewTicker(watchPause)
	defer every.Stop()
	for i := 0; ; i++ {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		// One of them is often gone.
		if m, err := c.fleet[i%len(c.fleet)].Metrics(ctx); err == nil {
			c.queued = max(c.queued, m["websocket_queued_bytes"])
		}
	}
}

// kill takes one gateway after the other.
func (c *chaos) kill(ctx context.Context, t *testing.T) {
	for {
		select {
		case <-time.After(killPause):
		case <-ctx.Done():
			return
		}
		g := c.fleet[c.kills%len(c.fleet)]
		g.Kill()
		c.deeds.tell("%s was killed", g.Name)
		c.kills++
		if !assert.NoError(t, g.Restart()) {
			return
		}
		c.deeds.tell("%s is ready again", g.Name)
	}
}
