// Package memory is the broker of a single gateway: all state is in this process. Package gateway uses it, and tests.
package memory

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// stripes is the number of locks that channels share.
const stripes = 64

// sweepInterval is how often expired entries are removed. Reads skip them in any case.
const sweepInterval = 30 * time.Second

// Options configure a Broker.
type Options struct {
	// Instance is this gateway's name in the directory. Empty means a random name.
	Instance string
}

// Broker implements broker.Broker. It delivers a publication in the goroutine that publishes it.
type Broker struct {
	instance string
	start    start
	seed     maphash.Seed
	// begun is time zero of the clock of presence.
	begun    time.Time
	streams  [stripes]streams
	presence [stripes]presenceStripe
	// The fields below are the directory, which has one gateway.
	about           expiringMap[[]byte]
	users, occupied expiringMap[struct{}]
	revoked         expiringMap[time.Time]
	messages        messageQueue
}

// New returns a broker. It is ready at once and confirms subscriptions once Run is called.
func New(o Options) *Broker {
	if o.Instance == "" {
		o.Instance = uuid.NewString()
	}
	b := &Broker{instance: o.Instance, seed: maphash.MakeSeed(), begun: time.Now()}
	for i := range stripes {
		b.streams[i].open = map[string]*stream{}
		b.streams[i].published.all = map[string]expiring[published]{}
		b.presence[i].open = map[string]*channelPresence{}
	}
	b.about.all = map[string]expiring[[]byte]{}
	b.users.all = map[string]expiring[struct{}]{}
	b.occupied.all = map[string]expiring[struct{}]{}
	b.revoked.all = map[string]expiring[time.Time]{}
	return b
}

func (b *Broker) stripe(channel string) uint64 { return maphash.String(b.seed, channel) % stripes }

// Kind implements broker.Broker.
func (b *Broker) Kind() string { return contract.BrokerMemory }

// Subscribe implements broker.PubSub. Every channel is delivered, subscribed or not: all that there is to wait for is
// Run.
func (b *Broker) Subscribe(channel string, confirmed func()) { b.start.await(channel, confirmed) }

// Lost implements broker.PubSub.
func (b *Broker) Lost(string) <-chan struct{} { return nil }

// Unsubscribe implements broker.PubSub.
func (b *Broker) Unsubscribe(channel string) { b.start.forget(channel) }

// Status implements broker.Broker.
func (b *Broker) Status() broker.Status { return broker.Status{State: contract.BrokerReady} }

// Run implements broker.Broker. It removes what has expired until the context ends. The handlers stay connected after
// that. Run never returns an error.
func (b *Broker) Run(ctx context.Context, publications broker.PublicationHandler,
	messages broker.MessageHandler) error {
	b.messages.setHandler(messages)
	b.start.run(publications)
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticker.C:
			b.sweep(now)
		}
	}
}

func (b *Broker) sweep(now time.Time) {
	for i := range stripes {
		b.streams[i].sweep(now)
		b.presence[i].sweep(now.Sub(b.begun))
	}
	b.about.sweep(now)
	b.users.sweep(now)
	b.occupied.sweep(now)
	b.revoked.sweep(now)
}
