package loss

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	// cutPause is the time between two cuts.
	cutPause = 40 * time.Millisecond
	// killPause is how long the fleet is whole between two kills.
	killPause = 2 * time.Second
)

// chaos kills and cuts.
type chaos struct {
	fleet     fleet
	listeners []*listener

	kills, cuts int
}

// run returns when the time is over and all gateways are there again.
func (c *chaos) run(ctx context.Context, t *testing.T) {
	t.Helper()
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		c.kill(ctx, t)
	}()
	every := time.NewTicker(cutPause)
	defer every.Stop()
	for ctx.Err() == nil {
		select {
		case <-every.C:
			c.listeners[rand.N(len(c.listeners))].cut()
			c.cuts++
		case <-ctx.Done():
		}
	}
	<-killed
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
		c.kills++
		if !assert.NoError(t, g.Restart()) {
			return
		}
	}
}
