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
	// cutInterval is the time between two cuts.
	cutInterval = 40 * time.Millisecond
	// killInterval is the time between two kills, in which all gateways run.
	killInterval = 2 * time.Second
	// scrapeInterval is the time between two reads of a gateway's metrics.
	scrapeInterval = 50 * time.Millisecond
)

// chaos kills gateways, cuts connections and stalls readers.
type chaos struct {
	fleet     fleet
	listeners []*listener

	kills, cuts int
	// queued is the maximum of the bytes that were queued in a gateway for clients that do not read.
	queued float64
	// killHistory has the kills and restarts.
	killHistory history
}

// run blocks until ctx ends and all gateways are ready again.
func (c *chaos) run(ctx context.Context, t *testing.T) {
	t.Helper()
	var group sync.WaitGroup
	group.Go(func() { c.killGateways(ctx, t) })
	group.Go(func() { c.watchQueues(ctx) })
	every := time.NewTicker(cutInterval)
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
	group.Wait()
}

// watchQueues reads the queued bytes of one gateway after the other.
func (c *chaos) watchQueues(ctx context.Context) {
	every := time.NewTicker(scrapeInterval)
	defer every.Stop()
	for i := 0; ; i++ {
		select {
		case <-every.C:
		case <-ctx.Done():
			return
		}
		// An error means that the gateway is restarting.
		if m, err := c.fleet[i%len(c.fleet)].Metrics(ctx); err == nil {
			c.queued = max(c.queued, m["websocket_queued_bytes"])
		}
	}
}

// killGateways kills and restarts one gateway after the other.
func (c *chaos) killGateways(ctx context.Context, t *testing.T) {
	for {
		select {
		case <-time.After(killInterval):
		case <-ctx.Done():
			return
		}
		g := c.fleet[c.kills%len(c.fleet)]
		g.Kill()
		c.killHistory.add("%s was killed", g.Name)
		c.kills++
		if !assert.NoError(t, g.Restart()) {
			return
		}
		c.killHistory.add("%s is ready again", g.Name)
	}
}
