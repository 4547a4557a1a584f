package redistest

import (
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Await asks another process until it says yes, which is the only way to know.
func Await(t testing.TB, what string, ask func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			t.Fatalf("waited %v for %s: %v", timeout, what, err)
		}
	}
}

// program finds an executable. A missing one fails the test: skipped tests prove nothing.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run hack/install-deps.sh redis", name)
	}
	return path
}

// Ports below those that systems give to outgoing connections: one of these could take a port
// between the moment it was found free and the moment a server listens on it.
const (
	firstPort = 20_000
	ports     = 12_000
)

// drawn are the ports that this process has given out.
var drawn sync.Map

// FreePort returns a port of 127.0.0.1 that was free a moment ago.
func FreePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		port := firstPort + rand.IntN(ports)
		if _, taken := drawn.LoadOrStore(port, true); taken {
			continue
		}
		var l net.Listener
		if l, err = new(net.ListenConfig).Listen(t.Context(), "tcp",
			net.JoinHostPort("127.0.0.1", strconv.Itoa(port))); err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatalf("find a free port: %v", err)
	return 0
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatalf("write %s: %v", path, err)
	}
}
