// Package process runs gateways for the tests under test/. Each gateway is the real command in a process of its own,
// which a test observes through its ports, its log and its exit code.
package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/internal/contract"
)

// timeout bounds the time until a gateway is ready, and until it has exited.
const timeout = 30 * time.Second

// Build compiles the gateway's command with these flags of go build, and returns the path of the executable.
func Build(t testing.TB, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "wsfleet-gateway")
	args := append([]string{"build", "-o", binary}, flags...)
	if out, err := exec.CommandContext(t.Context(), "go",
		append(args, "github.com/wsfleet/wsfleet/cmd/gateway")...).CombinedOutput(); err != nil {
		t.Fatalf("build the gateway: %v\n%s", err, out)
	}
	return binary
}

// Gateway is a gateway process. Restart replaces the process; name and ports stay.
type Gateway struct {
	Name string
	// Addr is the public port, AdminAddr the private one, as host:port.
	Addr, AdminAddr string

	binary string
	args   []string
	// mu guards the fields below.
	mu      sync.Mutex
	current *run
	log     strings.Builder
}

// run is one process of a gateway.
type run struct {
	cmd *exec.Cmd
	// ended is closed when the process has exited. Then err is what Wait returned.
	ended chan struct{}
	err   error
	// killed is set when Kill has ended the process.
	killed atomic.Bool
}

// Start runs a gateway with these flags besides its name and ports, and blocks until it is ready. At the end of the
// test it stops the gateway, and fails the test unless SIGTERM makes it exit with code 0.
func Start(t testing.TB, binary, name string, flags ...string) *Gateway {
	t.Helper()
	g := &Gateway{Name: name, Addr: freeAddress(t), AdminAddr: freeAddress(t), binary: binary}
	g.args = append([]string{
		"--" + contract.KeyNodeName, name,
		"--" + contract.KeyListen, g.Addr,
		"--" + contract.KeyAdminListen, g.AdminAddr,
		"--" + contract.KeyDrainTimeout, "0s",
	}, flags...)
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, g.Log())
		}
	})
	if err := g.Restart(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return g
}

// Restart starts the gateway again after its process has exited, and blocks until it is ready. It returns an error when
// the process does not start or is not ready in time.
func (g *Gateway) Restart() error {
	if err := g.run(); err != nil {
		return err
	}
	if err := g.awaitReady(); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	return nil
}

func (g *Gateway) run() error {
	// The test's context ends before the cleanup, so it would kill the process.
	r := &run{cmd: exec.CommandContext(context.Background(), g.binary, g.args...), ended: make(chan struct{})}
	out, err := r.cmd.StderrPipe()
	if err != nil {
		return err
	}
	r.cmd.Stdout = r.cmd.Stderr
	if err := r.cmd.Start(); err != nil {
		return err
	}
	g.mu.Lock()
	g.current = r
	g.mu.Unlock()
	go func() {
		defer close(r.ended)
		// Wait closes the pipe, so all output has to be read before.
		for lines := bufio.NewScanner(out); lines.Scan(); {
			g.appendLog(lines.Text())
		}
		r.err = r.cmd.Wait()
	}()
	return nil
}

// currentRun returns the current process; nil before the first.
func (g *Gateway) currentRun() *run {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.current
}

func (g *Gateway) appendLog(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log.WriteString(line + "\n")
}

// Log returns everything that the processes have written so far.
func (g *Gateway) Log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// PID returns the id of the process.
func (g *Gateway) PID() int { return g.currentRun().cmd.Process.Pid }

// Ended returns a channel that is closed when the process has exited.
func (g *Gateway) Ended() <-chan struct{} { return g.currentRun().ended }

// Stop sends SIGTERM, and SIGKILL after the timeout, and blocks until the process has exited. It returns an error when
// the exit code is not 0, and nil when Kill has ended the process.
func (g *Gateway) Stop() error {
	r := g.currentRun()
	if r == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	killTimer := time.AfterFunc(timeout, func() { _ = r.cmd.Process.Kill() })
	defer killTimer.Stop()
	<-r.ended
	if r.killed.Load() {
		return nil
	}
	return r.err
}

// Kill sends SIGKILL, as a crash would end the process, and blocks until it has exited.
func (g *Gateway) Kill() {
	r := g.currentRun()
	r.killed.Store(true)
	_ = r.cmd.Process.Kill()
	<-r.ended
}

// awaitReady waits until the gateway answers its readiness probe with 200.
func (g *Gateway) awaitReady() error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(timeout)
	ended := g.Ended()
	for {
		err := g.checkReady()
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ended:
			return errors.New("it has ended")
		case <-deadline:
			return err
		}
	}
}

func (g *Gateway) checkReady() error {
	response, err := http.Get("http://" + g.AdminAddr + contract.PathReadyz) //nolint:noctx // bounded by its caller
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", contract.PathReadyz, response.Status)
	}
	return nil
}

func freeAddress(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t)))
}
