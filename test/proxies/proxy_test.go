package proxies_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/broker/redistest"
)

// unpacked is where hack/proxies.sh unpacks the proxies.
const unpacked = "../../bin/proxies"

// proxy is a kind of proxy.
type proxy struct {
	// program is the name of its executable.
	program string
	// block is the language of its configuration's block in docs/proxies.md.
	block string
	// around returns the whole configuration, from the block with the addresses of the test.
	around func(block, dir string) string
	// args returns the command line for a configuration file in a directory.
	args func(file, dir string) []string
}

var haproxy = proxy{
	program: "haproxy",
	block:   "haproxy",
	around:  func(block, _ string) string { return block },
	args:    func(file, _ string) []string { return []string{"-db", "-f", file} },
}

var nginx = proxy{
	program: "nginx",
	block:   "nginx",
	around: func(block, dir string) string {
		main := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr;\n" +
			"events {}\nhttp {\naccess_log off;\n"
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			main += kind + "_temp_path " + dir + "/" + kind + ";\n"
		}
		return main + block + "}\n"
	},
	args: func(file, dir string) []string { return []string{"-p", dir, "-c", file, "-e", "stderr"} },
}

var apache = proxy{
	program: "apache2",
	block:   "apache",
	around: func(block, dir string) string {
		modules := filepath.Join(root("apache2"), "usr/lib/apache2/modules")
		var main strings.Builder
		fmt.Fprintf(&main, "ServerName localhost\nServerRoot %[1]s\nDefaultRuntimeDir %[1]s\nPidFile %[1]s/pid\n"+
			"ErrorLog /dev/stderr\nUser www-data\nGroup www-data\nMutex sem\n", dir)
		for _, module := range []string{
			"mpm_event", "authz_core", "watchdog", "slotmem_shm", "lbmethod_byrequests", "proxy", "proxy_http",
			"proxy_balancer", "proxy_hcheck",
		} {
			file := filepath.Join(modules, "mod_"+module+".so")
			if _, err := os.Stat(file); err == nil { // some systems build modules in
				fmt.Fprintf(&main, "LoadModule %s_module %s\n", module, file)
			}
		}
		return main.String() + block
	},
	args: func(file, _ string) []string { return []string{"-D", "FOREGROUND", "-f", file} },
}

var caddy = proxy{
	program: "caddy",
	block:   "caddyfile",
	around:  func(block, _ string) string { return "{\n  admin off\n  auto_https off\n}\n" + block },
	args:    func(file, _ string) []string { return []string{"run", "--adapter", "caddyfile", "--config", file} },
}

// root returns the directory below which a program and its files are.
func root(program string) string {
	for _, dir := range []string{"usr/sbin", "usr/bin"} {
		if _, err := os.Stat(filepath.Join(unpacked, dir, program)); err == nil {
			absolute, err := filepath.Abs(unpacked)
			if err == nil {
				return absolute
			}
		}
	}
	return "/"
}

// executable finds a program. A missing one fails the test: skipped tests prove nothing.
func executable(t *testing.T, program string) string {
	t.Helper()
	for _, dir := range []string{"usr/sbin", "usr/bin", "usr/local/sbin", "usr/local/bin"} {
		path := filepath.Join(root(program), dir, program)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath(program)
	require.NoError(t, err, "%s is not there: run hack/proxies.sh", program)
	return path
}

// documented returns the proxy's configuration in docs/proxies.md, with the addresses of the test.
func (p proxy) documented(t *testing.T, port int, gateways ...string) string {
	t.Helper()
	page, err := os.ReadFile("../../docs/proxies.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(page), "```"+p.block+"\n")
	require.True(t, found, p.block)
	block, _, _ := strings.Cut(rest, "```")
	block = strings.ReplaceAll(block, "8000", "127.0.0.1:"+strconv.Itoa(port))
	block = strings.ReplaceAll(block, ":127.0.0.1:", "127.0.0.1:")
	for i, address := range gateways {
		block = strings.ReplaceAll(block, fmt.Sprintf("10.0.0.%d:8080", i+1), address)
	}
	return block
}

// start runs the proxy with a configuration until the end of the test. It blocks until the port accepts connections.
func (p proxy) start(t *testing.T, block string, port int) {
	t.Helper()
	dir := t.TempDir()
	// A proxy may give up its rights before it looks into the directory.
	require.NoError(t, os.Chmod(dir, 0o755))
	file := filepath.Join(dir, "configuration")
	require.NoError(t, os.WriteFile(file, []byte(p.around(block, dir)), 0o600))
	// The test's context ends before the cleanup, so it would kill the process.
	cmd := exec.CommandContext(context.Background(), executable(t, p.program), p.args(file, dir)...)
	out := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = out, out
	libraries, err := filepath.Glob(filepath.Join(root(p.program), "usr/lib/*-linux-gnu"))
	require.NoError(t, err)
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libraries, ":"), "HOME="+dir)
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if t.Failed() {
			t.Logf("what %s wrote:\n%s", p.program, out)
		}
	})
	redistest.Await(t, p.program, func(ctx context.Context) error {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// lockedBuffer holds what a process writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
