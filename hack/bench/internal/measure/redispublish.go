package measure

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"

	"github.com/wsfleet/wsfleet/gateway/broker"
	"github.com/wsfleet/wsfleet/gateway/broker/redis"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// PublishCommand is the name of the command that runs Publish.
const PublishCommand = "publish"

// publishers is the number of publications under way at once: 50 connections with 16 each, as redis-benchmark has by
// default.
const publishers = 50 * 16

const publishedChannel = "bench"

// redisPublish counts publications per second of the CPU time of the publisher and Redis together, because a publisher
// that sends small packets costs Redis CPU time.
func redisPublish(ctx context.Context, s Settings, target string) (Values, error) {
	to, err := server.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer to.Stop()
	cmd, err := s.publisher(ctx, target, to.Address)
	if err != nil {
		return nil, err
	}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	before, err := cpuOf(to.PID)
	if err != nil {
		return nil, err
	}
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", cmd.Path, err, lastLine(errs.String()))
	}
	after, err := cpuOf(to.PID)
	if err != nil {
		return nil, err
	}
	used := after - before + cmd.ProcessState.UserTime().Seconds() + cmd.ProcessState.SystemTime().Seconds()
	return Values{"redis-publish": float64(s.Publications) / used}, nil
}

// publisher returns the command that publishes.
func (s Settings) publisher(ctx context.Context, target, address string) (*exec.Cmd, error) {
	count := strconv.Itoa(s.Publications)
	if target != server.Floor {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return exec.CommandContext(ctx, self, PublishCommand, address, "--count", count, "--bytes",
			strconv.Itoa(s.MessageBytes)), nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, "redis-benchmark", "-h", host, "-p", port, "-q", "-P", "16", "-n", count,
		"publish", publishedChannel, strings.Repeat("x", s.MessageBytes)), nil
}

func cpuOf(pid int) (seconds float64, err error) {
	p, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	stat, err := p.Stat()
	return stat.CPUTime(), err
}

// timeout bounds waits for events that should happen at once.
const timeout = 20 * time.Second

// discard is a handler that drops publications.
type discard struct{}

func (discard) Deliver(string, broker.Publication) {}
func (discard) Resumed(string)                     {}

// Publish publishes count messages of size bytes through the gateway's broker as fast as possible. It returns an error
// when Redis cannot be reached or a publication fails.
func Publish(ctx context.Context, address string, count, size int) error {
	b := redis.New(redis.Options{
		Mode: contract.RedisStandalone, Addresses: []string{address}, Prefix: "bench:",
		Logger: slog.New(slog.DiscardHandler),
	})
	ctx, cancel := context.WithCancel(ctx)
	running := make(chan error, 1)
	go func() { running <- b.Run(ctx, discard{}, nil) }()
	err := publishAll(ctx, b, count, make([]byte, size))
	cancel()
	return errors.Join(err, <-running)
}

func publishAll(ctx context.Context, b broker.Broker, count int, data []byte) error {
	confirmed := make(chan struct{})
	b.Subscribe("ready", func() { close(confirmed) })
	select {
	case <-confirmed:
	case <-time.After(timeout):
		return broker.ErrUnavailable
	}
	var group errgroup.Group
	for i := range publishers {
		group.Go(func() error {
			for n := i; n < count; n += publishers {
				if _, err := b.Publish(ctx, publishedChannel, broker.Publication{Data: data}, broker.PublishOptions{}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
