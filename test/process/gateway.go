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
	"syscall"
	"testing"
	"time"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
	"github.com/wsfleet/wsfleet/gateway/contract"
)

// patience is how long a gateway may take to get ready or to end.
const patience = 30 * time.Second

// Build compiles the gateway's command with go build and these flags of it, and returns the executable.
func Build(t testing.TB, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "wsfleet-gateway")
	args := append([]string{"build", "-o", binary}, flags...)
	if out, err := exec.CommandContext(t.Context(), "go", append(args, "github.com/wsfleet/wsfleet/cmd/gateway")...).CombinedOutput(); err != nil {
		t.Fatalf("build the gateway: %v\n%s", err, out)
	}
	return binary
}

// Gateway is one running process.
type Gateway struct {
	Name string
	// Addr is the public port, AdminAddr the private one, as host:port.
	Addr, AdminAddr string

	cmd *exec.Cmd
	// ended is closed when the process is gone; err is then what Wait returned.
	ended chan struct{}
	err   error
	mu    sync.Mutex
	log   strings.Builder
}

// Start runs a gateway with these flags besides its name and ports, and returns when it is ready. Its
// end is part of the test: SIGTERM must end it with exit code 0.
func Start(t testing.TB, binary, name string, flags ...string) *Gateway {
	t.Helper()
	g := &Gateway{Name: name, Addr: address(t), AdminAddr: address(t), ended: make(chan struct{})}
	args := append([]string{
		"--" + contract.KeyNodeName, name,
		"--" + contract.KeyListen, g.Addr,
		"--" + contract.KeyAdminListen, g.AdminAddr,
		"--" + contract.KeyDrainTimeout, "0s",
	}, flags...)
	// The test's context would kill the process before the cleanup asks it to end.
	g.cmd = exec.CommandContext(context.Background(), binary, args...)
	out, err := g.cmd.StderrPipe()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	g.cmd.Stdout = g.cmd.Stderr
	if err := g.cmd.Start(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	go func() {
		defer close(g.ended)
		// Wait closes the pipe: what has not been read by then would be lost.
		for lines := bufio.NewScanner(out); lines.Scan(); {
			g.note(lines.Text())
		}
		g.err = g.cmd.Wait()
	}()
	t.Cleanup(func() {
		if err := g.Stop(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", name, g.Log())
		}
	})
	if err := g.ready(); err != nil {
		t.Fatalf("%s is not ready: %v", name, err)
	}
	return g
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
func (g *Gateway) PID() int { return g.cmd.Process.Pid }

// Ended is closed when the process is gone.
func (g *Gateway) Ended() <-chan struct{} { return g.ended }

// Stop asks the process to end and returns how it did, also when it has ended before.
func (g *Gateway) Stop() error {
	_ = g.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(patience, func() { _ = g.cmd.Process.Kill() })
	defer late.Stop()
	<-g.ended
	return g.err
}

// ready waits until the gateway says so.
func (g *Gateway) ready() error {
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	deadline := time.After(patience)
	for {
		err := g.ask()
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-g.ended:
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
