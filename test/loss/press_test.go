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
	// pace is the time between two publications of one publisher.
	pace = 40 * time.Millisecond
	// impatient is how many calls there are to one that is given up so soon that nobody knows its fate.
	impatient = 5
	soon      = 5 * time.Millisecond
)

// press is the backends: each has some of the channels, and publishes the next number of one of them
// when the one before was taken.
type press struct {
	fleet  fleet
	script *script
	// last is the last number of each channel; a channel has one publisher.
	last [channels]atomic.Uint64
	// tries counts calls, with those that were made again; repeated those that were not needed.
	tries, repeated atomic.Int64
	// taken is when each publication was, and by whom.
	taken [channels]annals
}

// run publishes for some time, while something else happens.
func (p *press) run(t *testing.T, lasts time.Duration, meanwhile func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var working sync.WaitGroup
	for i := range publishers {
		working.Go(func() { assert.NoError(t, p.publish(ctx, i)) })
	}
	meanwhile(ctx)
	working.Wait()
}

func (p *press) publish(ctx context.Context, publisher int) error {
	every := time.NewTicker(pace)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-ctx.Done():
			return nil
		}
		channel := publisher + publishers*rand.N(channels/publishers)
		// Begun is begun: a publication whose fate is unknown would have to be looked up.
		if err := p.next(context.WithoutCancel(ctx), channel); err != nil {
			return err
		}
	}
}

// next publishes a channel's next number, through any gateway, until one has taken it. The key makes
// sure that it is published once, also when the gateway that took it was killed before it could say so.
func (p *press) next(ctx context.Context, channel int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
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
			p.taken[channel].tell("number %d was taken by %s in call %d, repeated %v", number, taken.by, tries, taken.Repeated)
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("number %d of %s was not taken: %w", number, channelName(channel), err)
		}
	}
}

// taken is what a gateway says of a publication.
type taken struct {
	Offset   uint64
	Repeated bool
	by       string
}

// call publishes through any gateway. Some calls are not waited for, like those of a backend with a bad
// network.
func (p *press) call(ctx context.Context, call map[string]any) (result taken, err error) {
	if rand.N(impatient) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(soon))
		defer cancel()
	}
	g := p.fleet[rand.N(len(p.fleet))]
	api := goclient.Client{URL: "http://" + g.Addr + "/api", Key: apiKey, HTTP: http.DefaultClient}
	p.tries.Add(1)
	result.by = g.Name
	err = api.Call(ctx, "publish", call, &result)
	if result.Repeated {
		p.repeated.Add(1)
	}
	return result, err
}
