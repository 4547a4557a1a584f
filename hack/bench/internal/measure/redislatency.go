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

// relay is a way from one client to another.
type relay struct {
	publish func(ctx context.Context, text string) error
	receive func(ctx context.Context) (string, error)
}

// redisLatency sends messages through two gateways, or with the floor through nothing but Redis.
func redisLatency(ctx context.Context, s Settings, target string) (Values, error) {
	redis, err := server.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer redis.Stop()
	if target == server.Floor {
		return bareRedis(ctx, s, redis.Address)
	}
	var ends [2]*wsclient.Conn
	for i := range ends {
		gateway, err := server.StartGateway(ctx, redis, s.server())
		if err != nil {
			return nil, err
		}
		defer gateway.Stop()
		if ends[i], err = wsclient.Dial(ctx, wsclient.Plain, gateway.Address, probeChannel, nil); err != nil {
			return nil, err
		}
		defer func() { _ = ends[i].CloseNow() }()
	}
	// The sender hears itself too, and must listen.
	go func() {
		for {
			if _, err := ends[0].Receive(ctx); err != nil {
				return
			}
		}
	}()
	return s.relayed(ctx, relay{publish: ends[0].Publish, receive: ends[1].Receive})
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

// relayed sends at a steady rate and times each message from the moment it was due.
func (s Settings) relayed(ctx context.Context, r relay) (Values, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Duration+patience)
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

// percentile is the value that a share of all does not exceed.
func percentile(all []time.Duration, share float64) time.Duration {
	slices.Sort(all)
	return all[max(0, min(len(all)-1, int(share*float64(len(all))+0.5)-1))]
}
