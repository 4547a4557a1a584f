// Package process runs real gateways for tests: the command as it is shipped, each in a process of its
// own, seen only through its ports, its log and its exit code.
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

// patience is how long a gateway may take to get ready or to end.
const patience = 30 * time.Second

// Build compiles the gateway's command with go build and these flags of it, and returns the executable.
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

// Gateway is one running process, or the one that took its place on the same ports.
type Gateway struct {
	Name string
	// Addr is the public port, AdminAddr the private one, as host:port.
	Addr, AdminAddr string

	binary string
	args   []string
	mu     sync.Mutex
	now    *run
	log    strings.Builder
}

// run is one life of a gateway.
type run struct {
	cmd *exec.Cmd
	// ended is closed when the process is gone; err is then what Wait returned.
	ended chan struct{}
	err   error
	// killed: it was not asked to end.
	killed atomic.Bool
}

// Start runs a gateway with these flags besides its name and ports, and returns when it is ready. Its
// end is part of the test: SIGTERM must end it with exit code 0.
func Start(t testing.TB, binary, name string, flags ...string) *Gateway {
	t.Helper()
	g := &Gateway{Name: name, Addr: address(t), AdminAddr: address(t), binary: binary}
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

// Restart runs the gateway again, which must have ended, and returns when it is ready.
func (g *Gateway) Restart() error {
	if err := g.run(); err != nil {
		return err
	}
	if err := g.ready(); err != nil {
		return fmt.Errorf("not ready: %w", err)
	}
	return nil
}

func (g *Gateway) run() error {
	// The test's context would kill the process before the cleanup asks it to end.
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
	g.now = r
	g.mu.Unlock()
	go func() {
		defer close(r.ended)
		// Wait closes the pipe: what has not been read by then would be lost.
		for lines := bufio.NewScanner(out); lines.Scan(); {
			g.note(lines.Text())
		}
		r.err = r.cmd.Wait()
	}()
	return nil
}

// life is the process of now.
func (g *Gateway) life() *run {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

func (g *Gateway) note(line string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.log.WriteString(line + "\n")
}

// Log is what the process has written so far.
func (g *Gateway) Log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// PID names the process.
func (g *Gateway) PID() int { return g.life().cmd.Process.Pid }

// Ended is closed when the process is gone.
func (g *Gateway) Ended() <-chan struct{} { return g.life().ended }

// Stop asks the process to end and returns how it did, also when it has ended before. Of one that was
// killed there is nothing to say.
func (g *Gateway) Stop() error {
	r := g.life()
	if r == nil {
		return nil
	}
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { _ = r.cmd.Process.Kill() })
	defer late.Stop()
	<-r.ended
	if r.killed.Load() {
		return nil
	}
	return r.err
}

// Kill ends the process as a crash would, and returns when it is gone.
func (g *Gateway) Kill() {
	r := g.life()
	r.killed.Store(true)
	_ = r.cmd.Process.Kill()
	<-r.ended
}

// ready waits until the gateway says so.
func (g *Gateway) ready() error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	ended := g.Ended()
	for {
		err := g.ask()
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

func (g *Gateway) ask() error {
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

func address(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(redistest.FreePort(t)))
}
