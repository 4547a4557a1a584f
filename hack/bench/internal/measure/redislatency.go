package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
	"github.com/wsfleet/wsfleet/test/wsclient"
)

// relay sends messages from one client to another.
type relay struct {
	publish func(ctx context.Context, text string) error
	receive func(ctx context.Context) (string, error)
}

// redisLatency measures the latency of messages through two gateways, or for the floor through Redis alone.
func redisLatency(ctx context.Context, s Settings, target string) (Values, error) {
	redis, err := server.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer redis.Stop()
	if target == server.Floor {
		return bareRedis(ctx, s, redis.Address)
	}
	var gateways [2]*server.Server
	for i := range gateways {
		if gateways[i], err = server.StartGateway(ctx, redis, s.server()); err != nil {
			return nil, err
		}
		defer gateways[i].Stop()
	}
	r, closeAll, err := throughGateways(ctx, gateways[0].Address, gateways[1].Address)
	defer closeAll()
	if err != nil {
		return nil, err
	}
	return s.relayed(ctx, r)
}

// pairs is the number of clients that share the rate. A gateway handles the messages of one client one after another,
// each with a round trip to Redis.
const pairs = 50

// throughGateways returns a relay from clients of one gateway to clients of another, with one channel per pair.
func throughGateways(ctx context.Context, from, to string) (r relay, closeAll func(), err error) {
	var clients []*wsclient.Conn
	ctx, cancel := context.WithCancel(ctx)
	closeAll = func() {
		cancel()
		for _, c := range clients {
			_ = c.CloseNow()
		}
	}
	type arrival struct {
		text string
		err  error
	}
	arrivals := make(chan arrival)
	senders := make([]*wsclient.Conn, 0, pairs)
	dial := func(address, channel string, arrived func(arrival)) (*wsclient.Conn, error) {
		c, err := wsclient.Dial(ctx, wsclient.Plain, address, channel, nil)
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
		go func() {
			for ctx.Err() == nil {
				text, err := c.Receive(ctx)
				arrived(arrival{text, err})
				if err != nil {
					return
				}
			}
		}()
		return c, nil
	}
	for i := range pairs {
		channel := probeChannel + strconv.Itoa(i)
		_, err := dial(to, channel, func(a arrival) {
			select {
			case arrivals <- a:
			case <-ctx.Done():
			}
		})
		if err != nil {
			return relay{}, closeAll, err
		}
		// A sender receives its own messages too.
		sender, err := dial(from, channel, func(arrival) {})
		if err != nil {
			return relay{}, closeAll, err
		}
		senders = append(senders, sender)
	}
	turn := 0
	return relay{
		publish: func(ctx context.Context, text string) error {
			turn++
			return senders[turn%pairs].Publish(ctx, text)
		},
		receive: func(ctx context.Context) (string, error) {
			select {
			case a := <-arrivals:
				return a.text, a.err
			case <-ctx.Done():
				return "", ctx.Err()
			}
		},
	}, closeAll, nil
}

func bareRedis(ctx context.Context, s Settings, address string) (Values, error) {
	client := goredis.NewClient(&goredis.Options{Addr: address})
	defer func() { _ = client.Close() }()
	subscription := client.Subscribe(ctx, probeChannel)
	defer func() { _ = subscription.Close() }()
	if _, err := subscription.Receive(ctx); err != nil {
		return nil, err
	}
	return s.relayed(ctx, relay{
		publish: func(ctx context.Context, text string) error { return client.Publish(ctx, probeChannel, text).Err() },
		receive: func(ctx context.Context) (string, error) {
			m, err := subscription.ReceiveMessage(ctx)
			if err != nil {
				return "", err
			}
			return m.Payload, nil
		},
	})
}

// relayed sends messages at a steady rate and measures each from when it was due.
func (s Settings) relayed(ctx context.Context, r relay) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Duration+timeout)
	defer cancel()
	interval := time.Second / time.Duration(s.RelayedPerSecond)
	count := int(s.Duration / interval)
	start := time.Now()
	due := func(n int) time.Time { return start.Add(time.Duration(n) * interval) }

	sent := make(chan error, 1)
	go func() {
		pad := strings.Repeat("x", s.MessageBytes)
		for n := range count {
			time.Sleep(time.Until(due(n)))
			if err := r.publish(ctx, (strconv.Itoa(n) + " " + pad)[:s.MessageBytes]); err != nil {
				cancel()
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	latencies := make([]time.Duration, 0, count)
	for len(latencies) < count {
		text, err := r.receive(ctx)
		if err != nil {
			cancel()
			return nil, errors.Join(fmt.Errorf("after %d of %d messages: %w", len(latencies), count, err), <-sent)
		}
		number, _, _ := strings.Cut(text, " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			return nil, fmt.Errorf("not a message of ours: %.20q", text)
		}
		latencies = append(latencies, time.Since(due(n)))
	}
	return Values{"redis-latency-p99": percentile(latencies, 0.99).Seconds()}, <-sent
}

// percentile returns the value that a share of all values does not exceed.
func percentile(all []time.Duration, share float64) time.Duration {
	slices.Sort(all)
	return all[max(0, min(len(all)-1, int(share*float64(len(all))+0.5)-1))]
}
