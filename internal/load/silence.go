package load

import (
	"errors"
	"time"
)

const (
	// silenceInterval is how often a worker looks for servers that have become silent.
	silenceInterval = time.Second
	// maxPingDelay is how much later than announced a ping may come, as in the SDKs.
	maxPingDelay = 10 * time.Second
)

var errSilent = errors.New("silent: the server's ping did not come")

// watchSilence ends connections whose server has become silent, until the worker is cancelled. Plain clients do not
// notice it, as in a browser.
func (p *population) watchSilence() {
	ticker := time.NewTicker(silenceInterval)
	defer ticker.Stop()
	for {
		select {
		case <-p.worker.ctx.Done():
			return
		case <-ticker.C:
			p.endSilent(p.worker.clock.now())
		}
	}
}

// endSilent ends the connections over which nothing has come in time.
func (p *population) endSilent(now int64) {
	for _, c := range p.connections() {
		c.shard.mu.Lock()
		if c.pingInterval > 0 && now-c.lastRead > int64(c.pingInterval+maxPingDelay) {
			c.shard.connectionLost(c, errSilent)
		}
		c.shard.mu.Unlock()
	}
}

// connections returns the open connections of all clients.
func (p *population) connections() []*client {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []*client
	for _, m := range p.members {
		if m.connection != nil {
			all = append(all, m.connection)
		}
	}
	return all
}
