// Package memory is the broker of a gateway that is alone: publications never leave the process.
package memory

import (
	"context"
	"hash/maphash"
	"sync"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/contract"
)

// stripes bounds how many channels wait for each other's delivery.
const stripes = 64

// Broker delivers where it was published.
type Broker struct {
	deliver broker.Deliver
	seed    maphash.Seed
	// order makes concurrent publications to a channel reach every subscriber in one order.
	order [stripes]sync.Mutex
}

// New returns a broker that is ready at once.
func New(deliver broker.Deliver) *Broker {
	return &Broker{deliver: deliver, seed: maphash.MakeSeed()}
}

// Kind implements broker.Broker.
func (b *Broker) Kind() string { return contract.BrokerMemory }

// Publish implements broker.Broker.
func (b *Broker) Publish(_ context.Context, channel string, p broker.Publication) error {
	stripe := &b.order[maphash.String(b.seed, channel)%stripes]
	stripe.Lock()
	defer stripe.Unlock()
	b.deliver(channel, p)
	return nil
}

// Subscribe implements broker.Broker: everything is delivered anyway.
func (b *Broker) Subscribe(_ string, confirmed func()) { confirmed() }

// Unsubscribe implements broker.Broker.
func (b *Broker) Unsubscribe(string) {}

// Status implements broker.Broker.
func (b *Broker) Status() broker.Status { return broker.Status{State: contract.BrokerReady} }

// Run implements broker.Broker.
func (b *Broker) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
