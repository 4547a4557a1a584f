package loss

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/wsfleet/wsfleet/test/goclient"
)

const (
	// publishInterval is the time between two publications of one publisher.
	publishInterval = 40 * time.Millisecond
	// One of abandonEvery calls is abandoned within maxAbandonTimeout, so that its outcome is unknown.
	abandonEvery      = 5
	maxAbandonTimeout = 5 * time.Millisecond
)

// publisherSet is the set of backends. Each owns some of the channels, and publishes the next number of one of them
// when the number before was accepted.
type publisherSet struct {
	fleet  fleet
	script *script
	// last is the last number of each channel. A channel has one publisher.
	last [channels]atomic.Uint64
	// tries counts calls, including retries. repeated counts calls whose publication was accepted before.
	tries, repeated atomic.Int64
	// accepted has the time and the gateway of each publication.
	accepted [channels]history
}

// runAll publishes for a time. It calls during meanwhile.
func (p *publisherSet) runAll(t *testing.T, duration time.Duration, during func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()
	var group sync.WaitGroup
	for i := range publishers {
		group.Go(func() { assert.NoError(t, p.publishLoop(ctx, i)) })
	}
	during(ctx)
	group.Wait()
}

func (p *publisherSet) publishLoop(ctx context.Context, publisher int) error {
	every := time.NewTicker(publishInterval)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		channel := publisher + publishers*rand.N(channels/publishers)
		// A publication that has begun is completed after the end of ctx, so that its outcome is known.
		if err := p.publishNext(context.WithoutCancel(ctx), channel); err != nil {
			return err
		}
	}
}

// publishNext publishes a channel's next number through any gateway until one has accepted it. The idempotency key
// makes sure that it is published once, also when the gateway that accepted it was killed before it could reply.
func (p *publisherSet) publishNext(ctx context.Context, channel int) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	number := p.last[channel].Load() + 1
	call := map[string]any{
		"channel":         channelName(channel),
		"data":            json.RawMessage(p.script.data(channel, number)),
		"idempotency_key": fmt.Sprint(number),
	}
	for tries := 1; ; tries++ {
		taken, err := p.call(ctx, call)
		switch {
		case err == nil && taken.Offset != number:
			return fmt.Errorf("number %d of %s is at offset %d", number, channelName(channel), taken.Offset)
		case err == nil:
			p.last[channel].Store(number)
			p.accepted[channel].add("number %d was taken by %s in call %d, repeated %v", number, taken.gateway, tries,
				taken.Repeated)
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("number %d of %s was not taken: %w", number, channelName(channel), err)
		}
	}
}

// publishResult is a gateway's reply to a publication.
type publishResult struct {
	Offset   uint64
	Repeated bool
	gateway  string
}

// call publishes through a random gateway. It abandons some calls, as a backend with a bad network does.
func (p *publisherSet) call(ctx context.Context, call map[string]any) (result publishResult, err error) {
	if rand.N(abandonEvery) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(maxAbandonTimeout))
		defer cancel()
	}
	g := p.fleet[rand.N(len(p.fleet))]
	api := goclient.Client{URL: "http://" + g.Addr + "/api", Key: apiKey, HTTP: http.DefaultClient}
	p.tries.Add(1)
	result.gateway = g.Name
	err = api.Call(ctx, "publish", call, &result)
	if result.Repeated {
		p.repeated.Add(1)
	}
	return result, err
}
