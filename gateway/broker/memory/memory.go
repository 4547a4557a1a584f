// Package memory is the broker of a gateway that is alone: nothing leaves the process.
package memory

import (
	"context"
	"hash/maphash"
	"time"

	"github.com/google/uuid"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// stripes bounds how many channels wait for each other's lock.
const stripes = 64

// sweepInterval is how often what is over is thrown away, if nobody asked for it before.
const sweepInterval = 30 * time.Second

// Options are what a Broker is made of.
type Options struct {
	// Instance is this gateway's name in the directory; one is made up when it is empty.
	Instance string
}

// Broker delivers where it was published.
type Broker struct {
	instance string
	start    start
	seed     maphash.Seed
	// begun is where the clock of the rooms begins.
	begun   time.Time
	streams [stripes]streams
	rooms   [stripes]rooms
	// The directory of a gateway that is alone has one gateway in it.
	about           lapsing[[]byte]
	users, occupied lapsing[struct{}]
	revoked         lapsing[time.Time]
	letterbox       letterbox
}

// New returns a broker that is ready at once.
func New(o Options) *Broker {
	if o.Instance == "" {
		o.Instance = uuid.NewString()
	}
	b := &Broker{instance: o.Instance, seed: maphash.MakeSeed(), begun: time.Now()}
	for i := range stripes {
		b.streams[i].open = map[string]*stream{}
		b.streams[i].published.all = map[string]lapse[published]{}
		b.rooms[i].open = map[string]*room{}
	}
	b.about.all = map[string]lapse[[]byte]{}
	b.users.all = map[string]lapse[struct{}]{}
	b.occupied.all = map[string]lapse[struct{}]{}
	b.revoked.all = map[string]lapse[time.Time]{}
	return b
}

func (b *Broker) stripe(channel string) uint64 { return maphash.String(b.seed, channel) % stripes }

// Kind implements broker.Broker.
func (b *Broker) Kind() string { return contract.BrokerMemory }

// Subscribe implements broker.Broker. Every channel is delivered, subscribed or not: all that there is to wait for is
// Run.
func (b *Broker) Subscribe(channel string, confirmed func()) { b.start.await(channel, confirmed) }

// Unsubscribe implements broker.Broker.
func (b *Broker) Unsubscribe(channel string) { b.start.forget(channel) }

// Status implements broker.Broker.
func (b *Broker) Status() broker.Status { return broker.Status{State: contract.BrokerReady} }

// Run implements broker.Broker. It removes what has expired until the context ends. The handlers stay connected after
// that. Run always returns nil.
func (b *Broker) Run(ctx context.Context, publications broker.PublicationHandler, messages broker.MessageHandler) error {
	b.letterbox.listen(messages)
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
		b.rooms[i].sweep(now.Sub(b.begun))
	}
	b.about.sweep(now)
	b.users.sweep(now)
	b.occupied.sweep(now)
	b.revoked.sweep(now)
}
