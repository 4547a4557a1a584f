package server

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// StartRedis starts a Redis that writes nothing to disk, and blocks until it accepts connections. It returns an error
// when the Redis does not start in time.
func StartRedis(ctx context.Context) (*Server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	log, w := io.Pipe()
	go func() { _, _ = io.Copy(io.Discard, log) }()
	s, err := startProcess(w, "redis-server", "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--save", "",
		"--appendonly", "no", "--daemonize", "no")
	if err != nil {
		return nil, fmt.Errorf("%w: install it with hack/install-deps.sh redis", err)
	}
	s.Address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if err := awaitListening(ctx, s.Address); err != nil {
		s.Stop()
		return nil, fmt.Errorf("redis-server: %w", err)
	}
	return s, nil
}

// freePort returns a port that is free now. Redis fails to start when another process takes it meanwhile.
func freePort(ctx context.Context) (int, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// awaitListening waits until a server accepts connections at an address.
func awaitListening(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err == nil {
			return c.Close()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}
