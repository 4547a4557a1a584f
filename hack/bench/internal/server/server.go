// Package server starts and stops the servers that hack/bench measures.
package server

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// Options are the options of all servers.
type Options struct {
	// Bin is the directory with the binaries, Baseline the one with the gateway of an earlier commit.
	Bin, Baseline  string
	PingInterval   time.Duration
	PongTimeout    time.Duration
	MaxConnections int
	// ConnectRate is the maximum number of new connections per second of a gateway; 0 is no limit, for load that is above
	// the default.
	ConnectRate int
	// Rules are the channel rules as JSON; empty for none.
	Rules string
}

// Server is a process that listens for WebSockets.
type Server struct {
	PID int
	// Address is the address for clients, Admin the address of a gateway's private port.
	Address, Admin string
	stop           []func()
}

// The targets.
const (
	Floor     = "floor"
	NBIO      = "nbio"
	Transport = "transport"
	Memory    = "memory"
	Redis     = "redis"
	// BaselineMemory and BaselineRedis are Memory and Redis, built from an earlier commit.
	BaselineMemory = "baseline-memory"
	BaselineRedis  = "baseline-redis"
)

// baselines names the target that each baseline is compared with.
var baselines = map[string]string{BaselineMemory: Memory, BaselineRedis: Redis}

// ComparedWith returns the target of this build that a baseline stands beside, and whether the target is a baseline.
func ComparedWith(target string) (current string, isBaseline bool) {
	current, isBaseline = baselines[target]
	return current, isBaseline
}

// Targets returns the name and a description of each target.
func Targets() [][2]string {
	return [][2]string{
		{Floor, "an event loop without any function"},
		{Memory, "the gateway with its memory as broker"},
		{Redis, "the gateway with a Redis of its own"},
		{BaselineMemory, "memory, with the gateway in the directory of --baseline"},
		{BaselineRedis, "redis, with the gateway in the directory of --baseline"},
		{NBIO, "the floor's function on github.com/lesismal/nbio"},
		{Transport, "the floor's function on gateway/transport"},
	}
}

// timeout bounds the time until a server has logged its address, and until it is ready.
const timeout = 20 * time.Second

// Start starts a target and blocks until it serves. It returns an error when the target is unknown or does not start in
// time.
func Start(ctx context.Context, target string, o Options) (*Server, error) {
	floor := []string{"--ping-interval", o.PingInterval.String()}
	if current, isBaseline := ComparedWith(target); isBaseline {
		target, o.Bin = current, o.Baseline
	}
	switch target {
	case Floor:
		return startServer(ctx, filepath.Join(o.Bin, "floor"), floor...)
	case NBIO:
		return startServer(ctx, filepath.Join(o.Bin, "floor-nbio"), floor...)
	case Transport:
		return startServer(ctx, filepath.Join(o.Bin, "floor-transport"), floor...)
	case Memory:
		return gateway(ctx, o)
	case Redis:
		redis, err := StartRedis(ctx)
		if err != nil {
			return nil, err
		}
		s, err := StartGateway(ctx, redis, o)
		if err != nil {
			redis.Stop()
			return nil, err
		}
		s.stop = append(s.stop, redis.Stop)
		return s, nil
	}
	return nil, Known(target)
}

// StartGateway starts a gateway whose broker is a running Redis. It returns an error when it does not start in time.
func StartGateway(ctx context.Context, redis *Server, o Options) (*Server, error) {
	return gateway(ctx, o, "--broker", contract.BrokerRedis, "--redis-addresses", redis.Address)
}

func names() string {
	targets := Targets()
	all := make([]string, 0, len(targets))
	for _, t := range targets {
		all = append(all, t[0])
	}
	return strings.Join(all, ", ")
}

// Known returns an error that lists the targets when there is none of that name.
func Known(target string) error {
	for _, t := range Targets() {
		if t[0] == target {
			return nil
		}
	}
	return fmt.Errorf("no target is called %q: use %s", target, names())
}

// Stop kills the server and the servers that were started for it.
func (s *Server) Stop() {
	for _, stop := range s.stop {
		stop()
	}
	s.stop = nil
}

func gateway(ctx context.Context, o Options, more ...string) (*Server, error) {
	if o.Rules != "" {
		more = append(more, "--channels", o.Rules)
	}
	s, err := startServer(ctx, filepath.Join(o.Bin, "wsfleet-gateway"), append([]string{
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "info",
		// The default rate limit of messages is below the load of a benchmark.
		"--max-connections", strconv.Itoa(o.MaxConnections), "--connect-rate", strconv.Itoa(o.ConnectRate),
		"--message-rate", "0",
		"--ping-interval", o.PingInterval.String(), "--pong-timeout", o.PongTimeout.String(),
	}, more...)...)
	if err != nil {
		return nil, err
	}
	if err := s.awaitReady(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// awaitReady waits until the gateway is ready, which includes its broker.
func (s *Server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+contract.PathReadyz, nil)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				http.DefaultClient.CloseIdleConnections()
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the gateway does not become ready: %w", errors.Join(ctx.Err(), err))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// startServer starts a process and reads its log until it has logged its address.
func startServer(ctx context.Context, path string, args ...string) (*Server, error) {
	log, w := io.Pipe()
	s, err := startProcess(w, path, args...)
	if err != nil {
		return nil, err
	}
	found := make(chan error, 1)
	go func() { found <- s.readAddress(log) }()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case err = <-found:
	case <-timer.C:
		err = fmt.Errorf("did not say within %v where it listens", timeout)
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return s, nil
}

// readAddress reads a log up to the line "... serves", takes the address from it, and discards the rest.
func (s *Server) readAddress(log io.Reader) error {
	lines := bufio.NewScanner(log)
	last := ""
	for lines.Scan() {
		var entry struct{ Msg, Listen, Admin string }
		last = lines.Text()
		if json.Unmarshal(lines.Bytes(), &entry) == nil && strings.HasSuffix(entry.Msg, "serves") {
			s.Address, s.Admin = entry.Listen, entry.Admin
			go func() { _, _ = io.Copy(io.Discard, log) }()
			return nil
		}
	}
	return fmt.Errorf("ended: %s", last)
}

// startProcess starts a program whose output goes to log. Stop kills it, because a drain would only take time.
func startProcess(log *io.PipeWriter, path string, args ...string) (*Server, error) {
	cmd := exec.Command(path, args...) //nolint:noctx // Stop ends it, after what still talks to it
	cmd.Stdout, cmd.Stderr = log, log
	// In a process group of its own it does not receive Ctrl-C, so that its clients end first.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = log.CloseWithError(cmd.Wait())
	}()
	stop := func() {
		_ = cmd.Process.Kill()
		<-ended
	}
	return &Server{PID: cmd.Process.Pid, stop: []func(){stop}}, nil
}
