package measure

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// The channels of the stall scenario: the first one of the load tool with this prefix, and that of the probe.
const (
	broadcastPrefix  = "broadcast-"
	broadcastChannel = broadcastPrefix + "0"
	probeChannel     = "probe"
)

// stall broadcasts to all subscribers without pause, and meanwhile measures how long other clients take to connect and
// to receive a message.
func stall(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := make(chan error, 1)
	observer, err := wsclient.Dial(ctx, wsclient.Centrifuge, to.Address, broadcastChannel, nil)
	if err != nil {
		return nil, fmt.Errorf("watch the broadcast: %w", err)
	}
	defer func() { _ = observer.CloseNow() }()
	go func() {
		_, err := observer.Receive(ctx)
		begun <- err
		for err == nil {
			_, err = observer.Receive(ctx)
		}
	}()

	broadcast := make(chan error, 1)
	go func() {
		_, err := load(ctx, s.Bin, to, "fanout",
			append(s.fanout(s.StallSubscribers), "--channel-prefix", broadcastPrefix, "--window", "1")...)
		broadcast <- err
		cancel()
	}()
	select {
	case err = <-begun:
	case err = <-broadcast:
		return nil, errors.Join(err, errors.New("the broadcast was over before it began"))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("watch the broadcast: %w", err), <-broadcast)
	}
	values, probed := probe(ctx, to.Address, s.Duration)
	return values, errors.Join(probed, <-broadcast)
}

// between is the time between two attempts of the probe, in which the server handles other clients.
const between = 5 * time.Millisecond

// probe connects and publishes repeatedly for a time, and returns the maximum duration of each. An attempt that does
// not complete counts with the time that it lasted.
func probe(ctx context.Context, address string, duration time.Duration) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, duration)
	defer cancel()
	talker, err := wsclient.Dial(ctx, wsclient.Centrifuge, address, probeChannel, nil)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	defer func() { _ = talker.CloseNow() }()

	type outcome struct {
		figure  string
		longest time.Duration
		err     error
	}
	outcomes := make(chan outcome)
	go func() {
		longest, err := maxDuration(ctx, func(int) error {
			c, err := wsclient.Dial(ctx, wsclient.Centrifuge, address, probeChannel+"-new", nil)
			if err == nil {
				_ = c.CloseNow()
			}
			return err
		})
		outcomes <- outcome{"stall-connect", longest, err}
	}()
	go func() {
		longest, err := maxDuration(ctx, func(n int) error {
			_, err := wsclient.Latency(ctx, talker, talker, strconv.Itoa(n))
			return err
		})
		outcomes <- outcome{"stall-message", longest, err}
	}()
	values := Values{}
	for range 2 {
		o := <-outcomes
		values[o.figure] = o.longest.Seconds()
		err = errors.Join(err, o.err)
	}
	return values, err
}

// maxDuration repeats do until ctx ends, and returns the maximum duration of one call.
func maxDuration(ctx context.Context, do func(n int) error) (time.Duration, error) {
	var worst time.Duration
	for n := 0; ctx.Err() == nil; n++ {
		started := time.Now()
		err := do(n)
		worst = max(worst, time.Since(started))
		if err != nil && ctx.Err() == nil {
			return worst, fmt.Errorf("probe: %w", err)
		}
		select {
		case <-time.After(between):
		case <-ctx.Done():
		}
	}
	return worst, nil
}
