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

// Channels of the stall scenario: the load tool's first with this prefix, and the probe's own.
const (
	broadcastPrefix  = "broadcast-"
	broadcastChannel = broadcastPrefix + "0"
	probeChannel     = "probe"
)

// stall broadcasts to everybody without a pause, and meanwhile lets others come and talk.
func stall(ctx context.Context, s Settings, to *server.Server) (Values, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := make(chan error, 1)
	witness, err := wsclient.Dial(ctx, wsclient.Centrifuge, to.Address, broadcastChannel, nil)
	if err != nil {
		return nil, fmt.Errorf("watch the broadcast: %w", err)
	}
	defer func() { _ = witness.CloseNow() }()
	go func() {
		_, err := witness.Receive(ctx)
		begun <- err
		for err == nil {
			_, err = witness.Receive(ctx)
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

// between two attempts of the probe others have their turn.
const between = 5 * time.Millisecond

// probe connects and talks for a time, and returns the longest of each. What does not come to its end is
// as long as it lasted.
func probe(ctx context.Context, address string, lasting time.Duration) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, lasting)
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
		longest, err := longest(ctx, func(int) error {
			c, err := wsclient.Dial(ctx, wsclient.Centrifuge, address, probeChannel+"-new", nil)
			if err == nil {
				_ = c.CloseNow()
			}
			return err
		})
		outcomes <- outcome{"stall-connect", longest, err}
	}()
	go func() {
		longest, err := longest(ctx, func(n int) error {
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

// longest repeats something until the context ends.
func longest(ctx context.Context, do func(n int) error) (time.Duration, error) {
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
