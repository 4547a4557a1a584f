package cluster

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

var update = flag.Bool("update", false, "write the golden files anew")

func testCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := New("test", t.TempDir(), "/bin/k8s", "/bin/localcluster")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// golden compares with a file in testdata. The directory of the test run is
// written as STATE.
func golden(t *testing.T, c *Cluster, name string, got []byte) {
	t.Helper()
	got = []byte(strings.ReplaceAll(string(got), c.state, "STATE"))
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; if it should, run go test ./internal/cluster -update\n%s", name, diff)
	}
}

func TestConfigurationFiles(t *testing.T) {
	c := testCluster(t)
	cfg := c.firstNode().configuration(firstPodNetwork)
	cfg.Snapshotter = "overlayfs" // depends on where the test runs
	for _, name := range []string{"containerd.toml", "cni.conflist", "kubelet.yaml", "kube-proxy.yaml", "coredns.yaml"} {
		t.Run(name, func(t *testing.T) {
			got, err := cfg.render(name)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c, name, got)
		})
	}
}

func TestRenderedFilesCanBeRead(t *testing.T) {
	cfg := testCluster(t).firstNode().configuration(firstPodNetwork)
	for _, name := range []string{"kubelet.yaml", "kube-proxy.yaml"} {
		data, err := cfg.render(name)
		if err != nil {
			t.Fatal(err)
		}
		var object map[string]any
		if err := yaml.UnmarshalStrict(data, &object); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	data, err := cfg.render("cni.conflist")
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(data) {
		t.Error("cni.conflist is not JSON")
	}
}

func TestFlags(t *testing.T) {
	c := testCluster(t)
	golden(t, c, "flags.txt", flags(c.components()))
}

func flags(components []component) []byte {
	var out bytes.Buffer
	for _, comp := range components {
		fmt.Fprintf(&out, "%s, ready at %s\n", comp.name, comp.ready)
		for _, arg := range comp.argv {
			fmt.Fprintf(&out, "  %s\n", arg)
		}
	}
	return out.Bytes()
}

// A second node has its own files and address, and the cluster notices dead nodes.
func TestConfigurationOfTwoNodes(t *testing.T) {
	c := testCluster(t)
	if err := c.chooseNodes(t.Context(), 2, progress.New(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	second := c.nodes()[1]
	cfg := second.configuration("10.244.1.0/24")
	cfg.Snapshotter = "overlayfs" // depends on where the test runs
	for _, name := range []string{"containerd.toml", "cni.conflist", "kubelet.yaml", "kube-proxy.yaml"} {
		t.Run(name, func(t *testing.T) {
			got, err := cfg.render(name)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, c, "node-2/"+name, got)
		})
	}
	golden(t, c, "node-2/flags.txt", flags(append(second.components(), c.controllerManager())))
}

func TestChooseNodes(t *testing.T) {
	c := testCluster(t)
	silent := progress.New(&bytes.Buffer{})
	for _, count := range []int{0, 1, 2, 0, 3} {
		if err := c.chooseNodes(t.Context(), count, silent); err != nil {
			t.Error(err)
		}
	}
	if n := len(c.nodes()); n != 3 {
		t.Errorf("%d nodes, expected 3", n)
	}
	if err := c.chooseNodes(t.Context(), 2, silent); err == nil || !strings.Contains(err.Error(), "localcluster down") {
		t.Errorf("got %v, expected that nodes cannot go", err)
	}
	for name, want := range map[string]string{"test": "control plane", "test-4": "test-2, test-3", "test-2": ""} {
		n, err := c.furtherNode(name)
		if want == "" && (err != nil || n.number != 2) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, %v, expected %q in the error", name, n.number, err, want)
		}
	}
	if _, err := testCluster(t).furtherNode("test-2"); err == nil || !strings.Contains(err.Error(), "--nodes 2") {
		t.Errorf("got %v, expected how to get a second node", err)
	}
}

// The chosen mode is in kube-proxy's configuration, and stays when a later `up` chooses none or etcd's data is set
// aside.
func TestChooseProxyMode(t *testing.T) {
	c := testCluster(t)
	silent := progress.New(&bytes.Buffer{})
	expect := func(want ProxyMode) {
		t.Helper()
		got, err := c.firstNode().configuration("").render("kube-proxy.yaml")
		if err != nil || !strings.Contains(string(got), "mode: "+string(want)+"\n") {
			t.Errorf("expected mode %s, got %v\n%s", want, err, got)
		}
	}
	expect(ProxyIPTables)
	for _, mode := range []ProxyMode{ProxyNFTables, ""} {
		if err := c.chooseProxyMode(t.Context(), mode, silent); err != nil {
			t.Fatal(err)
		}
		expect(ProxyNFTables)
	}
	if err := os.MkdirAll(c.data("etcd"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := c.setDataAside(); err != nil {
		t.Fatal(err)
	}
	expect(ProxyNFTables)
	if err := c.chooseProxyMode(t.Context(), ProxyIPTables, silent); err != nil {
		t.Fatal(err)
	}
	expect(ProxyIPTables)
}

func TestKubeconfigGolden(t *testing.T) {
	c := testCluster(t)
	got, err := kubeconfig("wsfleet-test", "https://127.0.0.1:6443", []byte("ca"), []byte("cert"), []byte("key"))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, c, "kubeconfig.yaml", got)
}

func TestNew(t *testing.T) {
	for _, name := range []string{"a", "wsfleet", "e2e-1", strings.Repeat("a", 20)} {
		if _, err := New(name, "/state", "", ""); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "A", "1a", "a-", "a/b", "..", strings.Repeat("a", 21)} {
		if _, err := New(name, "/state", "", ""); err == nil || !strings.Contains(err.Error(), "--name") {
			t.Errorf("%q: got %v, expected an error that names --name", name, err)
		}
	}
	if _, err := New("a", "state", "", ""); err == nil || !strings.Contains(err.Error(), "--state-dir") {
		t.Errorf("a relative state directory: got %v", err)
	}
}

// A socket's path may have 107 characters; the longest is made of the longest
// name a cluster may have.
func TestSocketPathsAreShortEnough(t *testing.T) {
	c, err := New(strings.Repeat("a", 20), DefaultStateDir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	if n := len((node{c, maxNodes}).containerdSocket() + ".ttrpc"); n > 107 {
		t.Errorf("%d characters", n)
	}
}

// Two nodes, of one cluster or of two, share no path, namespace or cgroup.
func TestNodesShareNothing(t *testing.T) {
	var all []string
	for _, name := range []string{"one", "two", "one-2"} {
		c, err := New(name, DefaultStateDir, "", "")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c.state, c.run, c.lockFile())
		for _, n := range []node{{c, 1}, {c, 2}} {
			all = append(all, n.netns(), n.cgroupRoot(), n.config(""), n.images())
			for _, bind := range n.binds() {
				all = append(all, bind.Source)
			}
		}
	}
	slices.Sort(all)
	for i, place := range all[1:] {
		if place == all[i] {
			t.Errorf("two nodes use %s", place)
		}
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"b", "a", "Not A Name"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	got := slices.DeleteFunc(Names(dir), func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err != nil // a cluster that runs on this machine
	})
	if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCertificates(t *testing.T) {
	c := testCluster(t)
	if err := c.ensurePKI(); err != nil {
		t.Fatal(err)
	}
	pools := map[string]*x509.CertPool{}
	for _, name := range []string{authority, proxyAuthority} {
		p, err := c.readPair(name)
		if err != nil {
			t.Fatal(err)
		}
		pools[name] = x509.NewCertPool()
		pools[name].AddCert(p.certificate)
	}
	for _, id := range c.identities() {
		p, err := c.readPair(id.file)
		if err != nil {
			t.Fatal(err)
		}
		if !p.key.PublicKey.Equal(p.certificate.PublicKey) {
			t.Errorf("%s: the key is not the certificate's", id.file)
		}
		for name, pool := range pools {
			_, err := p.certificate.Verify(x509.VerifyOptions{
				Roots:     pool,
				KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			})
			if trusted := err == nil; trusted != (name == id.authority) {
				t.Errorf("%s as a client, by %s: trusted %t (%v)", id.file, name, trusted, err)
			}
		}
	}

	server, err := c.readPair("apiserver")
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"127.0.0.1", controlIP, apiserverIP, "localhost", "kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local"} {
		_, err := server.certificate.Verify(x509.VerifyOptions{
			Roots:     pools[authority],
			DNSName:   host,
			KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		if err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}

	files, _ := filepath.Glob(c.pki("*"))
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, %v, expected 0600", file, info.Mode(), err)
		}
	}
}

func TestCertificatesAreMadeOnce(t *testing.T) {
	c := testCluster(t)
	read := func() map[string]string {
		t.Helper()
		if err := c.ensurePKI(); err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		files, _ := filepath.Glob(c.pki("*"))
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all[file] = string(data)
		}
		return all
	}
	before := read()
	if diff := cmp.Diff(before, read()); diff != "" {
		t.Error("a second time made other certificates")
	}
	// The next call completes an interrupted one.
	if err := os.Remove(c.pki("kubelet.crt")); err != nil {
		t.Fatal(err)
	}
	if after := read(); after[c.pki("kubelet.crt")] == "" || after[c.pki("ca.crt")] != before[c.pki("ca.crt")] {
		t.Error("the missing certificate, and nothing else, was to be made again")
	}
}

func TestCheckOwnerRefusesForeignCluster(t *testing.T) {
	mine, theirs := testCluster(t), testCluster(t)
	mine.run = t.TempDir()
	theirs.run = mine.run
	if err := mine.checkOwner(); err != nil {
		t.Errorf("without an owner: %v", err)
	}
	if err := os.MkdirAll(theirs.state, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := theirs.writeOwner(); err != nil {
		t.Fatal(err)
	}
	if err := theirs.checkOwner(); err != nil {
		t.Errorf("its own: %v", err)
	}
	if err := mine.checkOwner(); err == nil || !strings.Contains(err.Error(), "--state-dir "+filepath.Dir(theirs.state)) {
		t.Errorf("got %v, expected to be told where it is kept", err)
	}
	if err := os.RemoveAll(theirs.state); err != nil {
		t.Fatal(err)
	}
	if err := mine.checkOwner(); err != nil {
		t.Errorf("removed by hand: %v", err)
	}
}

func TestStateOf(t *testing.T) {
	whole := func() Status {
		return Status{
			Components: []ComponentStatus{{Name: "etcd", Running: true}},
			Conditions: []Condition{{Name: "API server answers", Met: true}},
			Nodes:      []NodeStatus{{Name: "test", Ready: true}},
			Forwards:   []ForwardStatus{{Running: true}},
		}
	}
	for name, c := range map[string]struct {
		change func(*Status)
		want   State
	}{
		"whole":             {func(*Status) {}, StateRunning},
		"a component ended": {func(s *Status) { s.Components[0].Running = false }, StateDegraded},
		"a forward ended":   {func(s *Status) { s.Forwards[0].Running = false }, StateDegraded},
		"a node is dead":    {func(s *Status) { s.Nodes[0].Ready = false }, StateDegraded},
		"not ready":         {func(s *Status) { s.Conditions[0].Met = false }, StateDegraded},
		"never came up":     {func(s *Status) { s.Conditions = nil }, StateDegraded},
	} {
		t.Run(name, func(t *testing.T) {
			s := whole()
			c.change(&s)
			if got := stateOf(s); got != c.want {
				t.Errorf("got %s, expected %s", got, c.want)
			}
		})
	}
}

func TestStateOfMissingClusterIsStopped(t *testing.T) {
	c := testCluster(t)
	if s := c.Status(t.Context()); s.State != StateStopped {
		t.Errorf("got %s", s.State)
	}
	if err := c.CheckRunning(); err == nil || !strings.Contains(err.Error(), "localcluster up --name test") {
		t.Errorf("got %v, expected the remedy", err)
	}
}

func TestReadNodes(t *testing.T) {
	const list = `{"items": [
		{"kind": "Node", "metadata": {"name": "test"}, "status": {"conditions": [
			{"type": "MemoryPressure", "status": "False"},
			{"type": "Ready", "status": "False", "message": "no network"}]}},
		{"kind": "Node", "metadata": {"name": "test-2"}, "status": {"conditions": [
			{"type": "Ready", "status": "True", "message": "kubelet posts"}]}},
		{"kind": "Deployment", "metadata": {"name": "coredns"}, "status": {"conditions": [
			{"type": "Available", "status": "True"}]}}]}`
	c := testCluster(t)
	nodes := []node{{c, 1}, {c, 2}}
	want := []NodeStatus{
		{Name: "test", Address: "172.31.0.1", Netns: "wsfleet-test", Message: "no network"},
		{Name: "test-2", Address: "172.31.0.2", Netns: "wsfleet-test.node-2", Ready: true},
	}
	if diff := cmp.Diff(want, readNodes(nodes, parseObjects([]byte(list)))); diff != "" {
		t.Error(diff)
	}
	if met, message := parseObjects([]byte(list)).condition("Deployment", "coredns", "Available"); !met {
		t.Error(message)
	}
	for _, broken := range []string{"", "{}", `{"items": 3}`} {
		for _, n := range readNodes(nodes, parseObjects([]byte(broken))) {
			if n.Ready || n.Message == "" {
				t.Errorf("%q: %+v, expected not ready and why", broken, n)
			}
		}
	}
}

func TestListenSaysWhatIsExpected(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	for _, address := range []string{taken.Addr().String(), "8080", "127.0.0.1:x"} {
		if _, err := Listen(t.Context(), address); err == nil || !strings.Contains(err.Error(), "--listen") {
			t.Errorf("%s: got %v, expected an error that names --listen", address, err)
		}
	}
}

func TestForwardsAreRemembered(t *testing.T) {
	c := testCluster(t)
	want := Forward{Listen: "[::1]:8080", To: "10.96.0.10:53"}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeFile(c.forwardFile(want.Listen), data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]Forward{want}, c.Forwards()); diff != "" {
		t.Error(diff)
	}
	if err := c.endForward(t.Context(), want.Listen); err != nil {
		t.Fatal(err)
	}
	if left := c.Forwards(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestCheckComponent(t *testing.T) {
	c := testCluster(t)
	for _, name := range c.ComponentNames() {
		if err := c.CheckComponent(name); err != nil {
			t.Error(err)
		}
	}
	if err := c.CheckComponent("nginx"); err == nil || !strings.Contains(err.Error(), "kubelet") {
		t.Errorf("got %v, expected those there are", err)
	}
}

func TestHasProgram(t *testing.T) {
	c := testCluster(t)
	t.Setenv("PATH", t.TempDir())
	if !c.hasProgram("sh") {
		t.Error("sh is not found where the system keeps it")
	}
	if c.hasProgram("nonesuch") {
		t.Error("nonesuch is found")
	}
	file := filepath.Join(os.Getenv("PATH"), "iptables-nonesuch")
	if err := os.WriteFile(file, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if !c.hasProgram("iptables-nonesuch") {
		t.Error("what is in the user's path is not found")
	}
}

func TestLogTail(t *testing.T) {
	c := testCluster(t)
	if err := os.MkdirAll(filepath.Dir(c.LogFile("etcd")), 0o755); err != nil {
		t.Fatal(err)
	}
	log := strings.Repeat("x", 2*tailBytes) + "the end\n"
	if err := os.WriteFile(c.LogFile("etcd"), []byte(log), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := c.logTail("etcd"); len(got) > tailBytes || !strings.HasSuffix(got, "the end") {
		t.Errorf("%d bytes that end in %q", len(got), got[len(got)-10:])
	}
}

func TestAwaitReadyDistinguishesEndFromTimeout(t *testing.T) {
	c := testCluster(t)
	comp := component{name: "etcd", ready: "unix:" + filepath.Join(c.state, "nonesuch"), timeout: time.Minute}
	ended := make(chan struct{})
	close(ended)
	if err := c.awaitReady(t.Context(), comp, ended); !errors.Is(err, errEnded) {
		t.Errorf("a process that has ended: %v", err)
	}
	comp.timeout = time.Millisecond
	if err := c.awaitReady(t.Context(), comp, nil); err == nil || errors.Is(err, errEnded) {
		t.Errorf("a process that is slow: %v", err)
	}
}

func TestUnusableDataIsSetAside(t *testing.T) {
	c := testCluster(t)
	for _, latest := range []string{"first", "second"} {
		for path, content := range map[string]string{
			c.data("etcd/member"): latest, c.data("kubelet/x"): "x", c.pki("ca.crt"): "x",
			c.Kubeconfig(): "x", c.LogFile("etcd"): "why",
		} {
			if err := writeFile(path, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		aside, err := c.setDataAside()
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(filepath.Join(aside, "member")); err != nil || string(kept) != latest {
			t.Errorf("kept %q, %v; expected %q", kept, err, latest)
		}
		if _, err := os.Stat(c.LogFile("etcd")); err != nil {
			t.Error(err)
		}
		left, err := os.ReadDir(c.state)
		if err != nil || len(left) != 2 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}
