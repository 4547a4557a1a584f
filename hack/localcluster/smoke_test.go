//go:build e2e

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCluster brings a real cluster up and uses what wsfleet's own tests rely
// on. It needs root and built binaries, and so has a build tag:
//
//	go test -tags e2e -run TestCluster -v .
func TestCluster(t *testing.T) {
	m := newMachine(t)
	// What a run that was cut off left behind would count as there before.
	m.localcluster("down", "--name", m.name)
	before := m.traces()

	m.localcluster("up", "--name", m.name)
	t.Cleanup(func() { m.localcluster("down", "--name", m.name) })
	m.loadProbe()
	m.kubectl("apply", "-f", "testdata/pods.yaml")
	m.awaitPods()

	t.Run("a running cluster is left as it is", func(t *testing.T) {
		begun := time.Now()
		said := m.on(t).localcluster("up", "--name", m.name)
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("took %s", took)
		}
		contains(t, said, "already running")
	})
	m.testAffinity(t, "iptables")
	t.Run("kube-proxy takes another mode", func(t *testing.T) {
		m := m.on(t)
		apiserver := m.status().pid("kube-apiserver")
		contains(t, m.localcluster("up", "--name", m.name, "--proxy-mode", "nftables"), "its mode changes to nftables")
		if s := m.status(); s.State != "running" || s.ProxyMode != "nftables" {
			t.Errorf("%s in mode %s, expected running in nftables", s.State, s.ProxyMode)
		}
		if m.status().pid("kube-apiserver") != apiserver {
			t.Error("the API server was started again, though it ran")
		}
	})
	// All that follows runs in this mode.
	m.testAffinity(t, "nftables")
	t.Run("names are resolved", func(t *testing.T) {
		m := m.on(t)
		for _, name := range []string{"sticky", "sticky.default.svc.cluster.local"} {
			if got, want := m.inClient(0, "lookup",
				name), m.kubectl("get", "service", "sticky", "-o", "jsonpath={.spec.clusterIP}"); got != want {
				t.Errorf("%s is %s, expected %s", name, got, want)
			}
		}
		if got, want := m.inClient(0, "lookup", "client-1.client"), m.podIP(1); got != want {
			t.Errorf("client-1.client is %s, expected %s", got, want)
		}
	})
	t.Run("pods reach one another, and themselves through a Service", func(t *testing.T) {
		m := m.on(t)
		contains(t, m.inClient(0, "get", "http://"+m.podIP(1)+":8080/"), "client-1 "+m.podIP(0))
		pod := m.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")
		for range 10 {
			contains(t, m.kubectl("exec", pod, "--", "/probe", "get", "http://spread/"), "web-")
		}
	})
	t.Run("service account tokens and RBAC", func(t *testing.T) {
		m := m.on(t)
		if got := m.inClient(0, "apiserver", "/api/v1/namespaces/default/pods"); got != "200" {
			t.Errorf("listing pods: %s, expected 200", got)
		}
		if got := m.inClient(0, "apiserver", "/api/v1/namespaces/default/secrets"); got != "403" {
			t.Errorf("listing secrets: %s, expected 403", got)
		}
	})
	t.Run("the API server reaches pods", func(t *testing.T) {
		m := m.on(t)
		contains(t, m.kubectl("get", "--raw", "/api/v1/namespaces/default/services/spread:80/proxy/"), "web-")
	})
	t.Run("logs and port-forward", func(t *testing.T) {
		m := m.on(t)
		contains(t, m.kubectl("logs", "client-0"), "serving as client-0")
		contains(t, m.throughPortForward("client-0"), "client-0")
	})
	t.Run("preStop runs in the container", func(t *testing.T) {
		m := m.on(t)
		pod := m.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[0].metadata.name}")
		follow := m.kubectlCommand("logs", "--follow", pod)
		out, err := follow.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		// Not before the first line: it must follow when the pod goes.
		log := bufio.NewReader(out)
		for line := ""; !strings.Contains(line, "serving as"); {
			if line, err = log.ReadString('\n'); err != nil {
				t.Fatalf("the log of %s ended before the pod served: %v", pod, errors.Join(err, follow.Wait()))
			}
		}
		m.kubectl("delete", "pod", pod)
		rest, err := io.ReadAll(log)
		if err != nil {
			t.Error(err)
		}
		_ = follow.Wait() // ends with the pod, in whatever way
		contains(t, string(rest), "preStop ran")
		contains(t, string(rest), "told to end")
		m.awaitPods()
	})
	t.Run("forwards lead in, and are replaced", func(t *testing.T) {
		m := m.on(t)
		at := m.localcluster("forward", "--name", m.name, "--background", "--to", "client-0.client.default.svc:8080")
		contains(t, m.get("http://"+at), "client-0")
		again := m.localcluster("forward", "--name", m.name, "--background", "--listen", at, "--to", m.podIP(1)+":8080")
		if again != at {
			t.Errorf("listens at %s, expected %s", again, at)
		}
		contains(t, m.get("http://"+at), "client-1")
		// By name, because addresses change when pods start again.
		m.localcluster("forward", "--name", m.name, "--background", "--listen", at, "--to",
			"client-1.client.default.svc:8080")
	})
	t.Run("comes back after all was killed", func(t *testing.T) {
		m := m.on(t)
		m.killAll()
		if state := m.status().State; state != "stopped" {
			t.Fatalf("state %q after the kill", state)
		}
		m.localcluster("up", "--name", m.name)
		m.awaitAnswers()
	})
	t.Run("comes back after the machine was restarted", func(t *testing.T) {
		m := m.on(t)
		m.killAll()
		m.forgetAsAtBoot()
		m.localcluster("up", "--name", m.name)
		m.awaitAnswers()
	})
	t.Run("comes back after one component was killed", func(t *testing.T) {
		m := m.on(t)
		pid := m.status().pid("kube-controller-manager")
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		apiserver := m.status().pid("kube-apiserver")
		m.localcluster("up", "--name", m.name)
		if m.status().pid("kube-apiserver") != apiserver {
			t.Error("the API server was started again, though it ran")
		}
	})
	t.Run("two clusters side by side", func(t *testing.T) {
		m := m.on(t)
		other := m.name + "-2"
		m.localcluster("up", "--name", other)
		m.localcluster("down", "--name", other)
		m.awaitPods()
		contains(t, m.inClient(0, "get", "http://sticky/"), "web-")
	})
	m.testTwoNodes(t)
	t.Run("starts from an empty cluster when the data is unusable", func(t *testing.T) {
		m := m.on(t)
		m.killAll()
		if err := os.Truncate("/var/lib/wsfleet/localcluster/"+m.name+"/data/etcd/member/snap/db", 5000); err != nil {
			t.Fatal(err)
		}
		contains(t, m.localcluster("up", "--name", m.name), "starting from an empty cluster")
		if pods := m.kubectl("get", "pods", "-o", "name"); strings.Contains(pods, "pod/") {
			t.Errorf("there still are %s", pods)
		}
		m.expectNodes(m.name, m.name+"-2")
	})
	t.Run("redis-server with its libraries", func(t *testing.T) {
		m := m.on(t)
		server, err := exec.LookPath("redis-server")
		if err != nil {
			t.Fatal("redis-server is not installed: run hack/install-deps.sh redis")
		}
		archive := filepath.Join(m.dir, "redis.tar")
		m.localcluster("build-image", "--name", "wsfleet/redis:test", "--libs", "--add", server+"=/usr/bin/redis-server",
			"--add", strings.TrimSuffix(server, "server")+"cli=/usr/bin/redis-cli", "--entrypoint", "/usr/bin/redis-server",
			"-o", archive)
		m.localcluster("load-image", "--name", m.name, archive)
		m.kubectl("run", "redis", "--image=wsfleet/redis:test", "--port=6379")
		m.kubectl("wait", "--for=condition=Ready", "pod/redis", "--timeout=60s")
		contains(t, m.kubectl("exec", "redis", "--", "/usr/bin/redis-cli", "incr", "n"), "1")
	})
	t.Run("leaves nothing", func(t *testing.T) {
		m := m.on(t)
		m.localcluster("down", "--name", m.name)
		// Also where other clusters came or went: nothing new of this one.
		after := m.traces()
		for line := range strings.Lines(after) {
			if !strings.Contains(before, strings.TrimSpace(line)) {
				t.Errorf("left: %s", line)
			}
		}
	})
}

// testAffinity tests Services with and without affinity in the mode that kube-proxy has.
func (m *machine) testAffinity(t *testing.T, mode string) {
	t.Run("an address sticks to one pod, several addresses spread, in mode "+mode, func(t *testing.T) {
		m := m.on(t)
		all := map[string]bool{}
		for client := range 6 {
			mine := map[string]bool{}
			for range 10 {
				pod, address, _ := strings.Cut(m.inClient(client, "get", "http://sticky/"), " ")
				if want := m.podIP(client); address != want {
					t.Fatalf("the server sees %s, the client is %s", address, want)
				}
				mine[pod] = true
			}
			if len(mine) != 1 {
				t.Errorf("client-%d reached %d pods", client, len(mine))
			}
			for pod := range mine {
				all[pod] = true
			}
		}
		// One in 32 runs would fail if six addresses could all land on one pod
		// and the test insisted; it only says so.
		if len(all) != 2 {
			t.Logf("six addresses reached %d of 2 pods", len(all))
		}
	})
	t.Run("a Service without affinity reaches all pods, in mode "+mode, func(t *testing.T) {
		m := m.on(t)
		seen := map[string]bool{}
		for range 40 {
			pod, _, _ := strings.Cut(m.inClient(0, "get", "http://spread/"), " ")
			seen[pod] = true
		}
		if len(seen) != 2 {
			t.Errorf("reached %d pods, expected 2", len(seen))
		}
	})
}

// machine runs commands on this machine.
type machine struct {
	t          *testing.T
	name       string
	repository string
	program    string
	dir        string
	// others is set once another cluster has been seen.
	others bool
}

func newMachine(t *testing.T) *machine {
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, name: "smoke", repository: repository, dir: t.TempDir()}
	m.program = filepath.Join(m.dir, "localcluster")
	m.run(exec.Command("go", "build", "-o", m.program, "."))
	return m
}

func (m *machine) on(t *testing.T) *machine {
	other := *m
	other.t = t
	return &other
}

func (m *machine) run(cmd *exec.Cmd) string {
	m.t.Helper()
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out.String(), said.String())
	}
	if said.Len() > 0 {
		m.t.Logf("%s\n%s", strings.Join(cmd.Args[1:], " "), said.String())
	}
	return strings.TrimSpace(out.String() + said.String())
}

func (m *machine) localcluster(args ...string) string {
	m.t.Helper()
	return m.run(exec.Command(m.program, args...))
}

func (m *machine) kubectlCommand(args ...string) *exec.Cmd {
	m.t.Helper()
	cmd := exec.Command(filepath.Join(m.repository, "bin/k8s/kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.localcluster("kubeconfig", "--path", "--name", m.name), "HOME="+m.dir)
	return cmd
}

func (m *machine) kubectl(args ...string) string {
	m.t.Helper()
	return m.run(m.kubectlCommand(args...))
}

func (m *machine) inClient(client int, args ...string) string {
	m.t.Helper()
	return m.kubectl(append([]string{"exec", m.clientName(client), "--", "/probe"}, args...)...)
}

func (m *machine) clientName(client int) string { return "client-" + string(rune('0'+client)) }

func (m *machine) podIP(client int) string {
	m.t.Helper()
	return m.kubectl("get", "pod", m.clientName(client), "-o", "jsonpath={.status.podIP}")
}

func (m *machine) loadProbe() {
	m.t.Helper()
	program, archive := filepath.Join(m.dir, "probe"), filepath.Join(m.dir, "probe.tar")
	build := exec.Command("go", "build", "-o", program, "./testdata/probe")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	m.run(build)
	m.localcluster("build-image", "--name", "wsfleet/probe:test", "--add", program+"=/probe", "--entrypoint", "/probe",
		"-o", archive)
	m.localcluster("load-image", "--name", m.name, archive)
	m.localcluster("load-image", "--name", m.name, archive)
}

func (m *machine) awaitPods() {
	m.t.Helper()
	m.kubectl("rollout", "status", "deployment/web", "--timeout=90s")
	m.kubectl("rollout", "status", "statefulset/client", "--timeout=90s")
	m.kubectl("wait", "--for=condition=Ready", "pods", "--all", "--timeout=90s")
}

// awaitAnswers waits until what was deployed works again. For a moment the API
// server still says what was true before.
func (m *machine) awaitAnswers() {
	m.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		exec := m.kubectlCommand("exec", m.clientName(0), "--", "/probe", "get", "http://sticky/")
		if out, err := exec.Output(); err == nil && strings.Contains(string(out), "web-") {
			break
		}
		if time.Now().After(deadline) {
			m.t.Fatal("client-0 does not reach the Service sticky again")
		}
	}
	m.awaitPods()
	for _, f := range m.status().Forwards {
		for {
			said, err := tryGet("http://" + f.Listen)
			if err == nil && strings.Contains(said, "client-") {
				break
			}
			if time.Now().After(deadline) {
				m.t.Fatalf("the forward to %s does not answer again: %q, %v", f.Listen, said, err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

// forgetAsAtBoot takes away what does not survive a restart of the machine,
// and leaves what does where /run is on a disk.
func (m *machine) forgetAsAtBoot() {
	m.t.Helper()
	netns := "/run/netns/wsfleet-" + m.name
	if err := syscall.Unmount(netns, syscall.MNT_DETACH); err != nil {
		m.t.Fatal(err)
	}
	var groups []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, _ error) error {
		if d != nil && d.IsDir() && strings.Contains(path, "wsfleet-"+m.name) {
			groups = append(groups, path)
		}
		return nil
	})
	for _, group := range slices.Backward(groups) {
		_ = syscall.Rmdir(group)
	}
}

func (m *machine) get(url string) string {
	m.t.Helper()
	body, err := tryGet(url)
	if err != nil {
		m.t.Fatal(err)
	}
	return body
}

func tryGet(url string) (string, error) {
	response, err := (&http.Client{Timeout: 15 * time.Second}).Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func (m *machine) throughPortForward(pod string) string {
	m.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	forward := m.kubectlCommand("port-forward", "--address=127.0.0.1", "pod/"+pod, ":8080")
	out, err := forward.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		m.t.Fatal(err)
	}
	context.AfterFunc(ctx, func() { _ = forward.Process.Kill() })
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		m.t.Fatal(err)
	}
	// "Forwarding from 127.0.0.1:PORT -> 8080"
	fields := strings.Fields(string(line[:n]))
	return m.get("http://" + fields[2])
}

type status struct {
	State     string
	ProxyMode string
	Nodes     []struct {
		Name  string
		Ready bool
	}
	Components []struct {
		Name string
		PID  int
	}
	Forwards []struct{ Listen string }
}

func (s status) pid(name string) int {
	for _, c := range s.Components {
		if c.Name == name {
			return c.PID
		}
	}
	return 0
}

func (m *machine) status() status {
	m.t.Helper()
	// Its exit code tells the state, which is asked for here.
	out, _ := exec.Command(m.program, "status", "--name", m.name, "-o", "json").Output()
	var s status
	if err := json.Unmarshal(out, &s); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	return s
}

// killAll ends everything of the cluster without notice, as a machine that
// loses its power does.
func (m *machine) killAll() {
	m.t.Helper()
	for again := true; again; {
		again = false
		groups, _ := filepath.Glob("/sys/fs/cgroup/pids/wsfleet-" + m.name)
		if len(groups) == 0 {
			groups = []string{"/sys/fs/cgroup/wsfleet-" + m.name}
		}
		_ = filepath.WalkDir(groups[0], func(path string, _ os.DirEntry, _ error) error {
			if filepath.Base(path) != "cgroup.procs" {
				return nil
			}
			data, _ := os.ReadFile(path)
			for _, field := range strings.Fields(string(data)) {
				var pid int
				if json.Unmarshal([]byte(field), &pid) == nil {
					again = syscall.Kill(pid, syscall.SIGKILL) == nil || again
				}
			}
			return nil
		})
	}
}

// traces lists what a cluster of this test could leave on the machine.
func (m *machine) traces() string {
	var found []string
	for _, pattern := range []string{
		"/run/netns/*" + m.name + "*", "/run/wsfleet/*" + m.name + "*",
		"/var/lib/wsfleet/localcluster/*" + m.name + "*",
		"/sys/fs/cgroup/*" + m.name + "*", "/sys/fs/cgroup/*/*" + m.name + "*",
		"/etc/cni", "/opt/cni", "/opt/containerd", "/run/nri", "/usr/libexec/kubernetes",
	} {
		matches, _ := filepath.Glob(pattern)
		found = append(found, matches...)
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, m.name) {
			found = append(found, line)
		}
	}
	routes, _ := os.ReadFile("/proc/net/route")
	found = append(found, string(routes))
	commands, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, command := range commands {
		data, _ := os.ReadFile(command)
		if bytes.Contains(data, []byte("localcluster/"+m.name)) {
			found = append(found, strings.ReplaceAll(string(data), "\x00", " "))
		}
	}
	// These belong to all clusters, and go with the last.
	if others, _ := filepath.Glob("/run/wsfleet/*"); len(others) > 0 {
		m.others = true
	}
	if !m.others {
		for _, path := range []string{
			"/run/mount", "/var/lib/kubelet", "/var/lib/cni", "/var/log/pods", "/var/log/containers", "/run/containerd",
			"/run/wsfleet", "/var/lib/wsfleet",
		} {
			if _, err := os.Stat(path); err == nil {
				found = append(found, path)
			}
		}
		for _, setting := range []string{"vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops"} {
			data, _ := os.ReadFile("/proc/sys/" + setting)
			found = append(found, setting+"="+string(data))
		}
	} else {
		m.t.Log("other clusters run: what belongs to all of them is not looked at")
	}
	slices.Sort(found)
	return strings.Join(found, "\n")
}

func contains(t *testing.T, got, want string) {
	t.Helper()
	if !strings.Contains(got, want) {
		t.Errorf("got %q, expected %q in it", got, want)
	}
}
