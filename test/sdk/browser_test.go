package sdk

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// serveSite serves this directory, with the SDK's builds for browsers, and returns the origin.
func serveSite(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(".")))
	t.Cleanup(server.Close)
	return server.URL
}

// startBrowser runs a headless Chromium, and returns the endpoint at which the scripts control it.
func startBrowser(t *testing.T) string {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is not installed: run hack/install-deps.sh browser")
	}
	// The test's context ends before the cleanup, so it would kill the script before it closes the browser.
	cmd := exec.CommandContext(context.Background(), "node", "chromium.mjs")
	cmd.Env = append(os.Environ(), "CHROMIUM="+chromium)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		killTimer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
		defer killTimer.Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("chromium.mjs ended with %v", err)
		}
	})
	endpoint, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("Chromium does not start: %v", err)
	}
	return strings.TrimSpace(endpoint)
}
