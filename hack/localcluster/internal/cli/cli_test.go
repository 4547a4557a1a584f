package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
)

// run runs a command line on a cluster that does not exist.
func run(t *testing.T, args ...string) (code int, out, errOut string) {
	t.Helper()
	t.Setenv(envStateDir, t.TempDir())
	var stdout, stderr bytes.Buffer
	code = Run(t.Context(), args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestExitCodes(t *testing.T) {
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"help":                {[]string{"--help"}, 0, ""},
		"an unknown command":  {[]string{"upp"}, exitUsage, `"upp"`},
		"an unknown flag":     {[]string{"up", "--nonesuch", "x"}, exitUsage, "--nonesuch"},
		"too many arguments":  {[]string{"status", "x"}, exitUsage, "status"},
		"a bad proxy mode":    {[]string{"up", "--proxy-mode", "ipvs"}, exitUsage, "expected iptables or nftables"},
		"too many nodes":      {[]string{"up", "--nodes", "5"}, exitUsage, "expected 1 to 4"},
		"a negative number":   {[]string{"up", "--nodes", "-1"}, exitUsage, "expected 1 to 4"},
		"no node":             {[]string{"kill-node"}, exitUsage, "kill-node"},
		"too few arguments":   {[]string{"load-image"}, exitUsage, "load-image"},
		"a bad name":          {[]string{"status", "--name", "A"}, exitUsage, "--name"},
		"a bad output":        {[]string{"status", "-o", "xml"}, exitUsage, "--output"},
		"an unknown binary":   {[]string{"binaries", "kubelett"}, exitUsage, "kubelet"},
		"an unknown log":      {[]string{"logs", "nginx"}, exitUsage, "kube-apiserver"},
		"no target":           {[]string{"forward"}, exitUsage, "--to"},
		"an image of nothing": {[]string{"build-image", "--name", "a:b", "-o", "x.tar"}, exitUsage, "--add"},
		"an image without -o": {[]string{"build-image", "--name", "a:b", "--add", "a=/b"}, exitUsage, "--output"},
		"a nameless image":    {[]string{"build-image", "--add", "a=/b", "-o", "x.tar"}, exitUsage, "--name"},
		"a bad --add":         {[]string{"build-image", "--name", "a:b", "--add", "a", "-o", "x.tar"}, exitUsage, "SRC=/DST"},
		"a stopped cluster":   {[]string{"status"}, exitNotRunning, ""},
		"logs of a stopped":   {[]string{"logs"}, exitFailed, "localcluster up"},
		"kubeconfig of none":  {[]string{"kubeconfig"}, exitFailed, "localcluster up"},
		"a worker by hand":    {[]string{cluster.HoldCommand, "--bind", "x"}, exitFailed, "SOURCE=TARGET"},
	} {
		t.Run(name, func(t *testing.T) {
			code, _, errOut := run(t, c.args...)
			if code != c.code || !strings.Contains(errOut, c.want) {
				t.Errorf("exit code %d, expected %d; said %q, expected %q in it", code, c.code, errOut, c.want)
			}
		})
	}
}

func TestCommandsHaveHelp(t *testing.T) {
	for _, cmd := range newRoot().Commands() {
		if cmd.Hidden {
			continue
		}
		code, out, _ := run(t, cmd.Name(), "--help")
		if code != 0 || !strings.Contains(out, "Usage:") || cmd.Short == "" {
			t.Errorf("%s: exit code %d, help %q", cmd.Name(), code, out)
		}
	}
}

func TestCompletion(t *testing.T) {
	code, out, _ := run(t, "completion", "bash")
	if code != 0 || !strings.Contains(out, "localcluster") {
		t.Errorf("exit code %d", code)
	}
}

func TestStatusOutput(t *testing.T) {
	_, text, _ := run(t, "status", "--name", "none")
	if !strings.Contains(text, "none") || !strings.Contains(text, "stopped") {
		t.Errorf("text: %q", text)
	}
	_, json, _ := run(t, "status", "--name", "none", "-o", "json")
	if !strings.Contains(json, `"state": "stopped"`) || strings.Contains(json, "null") {
		t.Errorf("json: %s", json)
	}
}

func TestWriteStatus(t *testing.T) {
	var out bytes.Buffer
	err := writeStatus(&out, cluster.Status{
		Name: "c", State: cluster.StateDegraded, Server: "https://127.0.0.1:1", Netns: "wsfleet-c",
		ProxyMode:  cluster.ProxyNFTables,
		Components: []cluster.ComponentStatus{{Name: "etcd", Running: true, PID: 7}, {Name: "kubelet"}},
		Nodes: []cluster.NodeStatus{
			{Name: "c", Address: "172.31.0.1", Netns: "wsfleet-c", Ready: true},
			{Name: "c-2", Address: "172.31.0.2", Netns: "wsfleet-c.node-2", Message: "no network"},
		},
		Conditions: []cluster.Condition{{Name: "CoreDNS Available", Message: "no endpoints"}},
		Forwards:   []cluster.ForwardStatus{{Forward: cluster.Forward{Listen: "127.0.0.1:2", To: "web:80"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, line := range lines {
		lines[i] = strings.Join(strings.Fields(line), " ")
	}
	all := strings.Join(lines, "\n")
	for _, want := range []string{
		"cluster c degraded", "etcd pid 7", "kubelet stopped", "CoreDNS Available no: no endpoints",
		"node c 172.31.0.1 in wsfleet-c Ready", "node c-2 172.31.0.2 in wsfleet-c.node-2 not Ready: no network",
		"forward 127.0.0.1:2 -> web:80 stopped", "network namespace wsfleet-c", "mode of kube-proxy nftables",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
}

func TestUpwards(t *testing.T) {
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b")
	for _, dir := range []string{deep, filepath.Join(root, modulesBelow)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok := upwards(deep, modulesBelow); !ok || got != root {
		t.Errorf("got %q, %t, expected %q", got, ok, root)
	}
	if got, ok := upwards(deep, "no/such/thing/anywhere"); ok {
		t.Errorf("found %q", got)
	}
}

func TestBinDirFollowsFlag(t *testing.T) {
	a := &app{binDir: "/elsewhere"}
	if got, err := a.findBinDir(); err != nil || got != "/elsewhere" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestImagesBuild(t *testing.T) {
	dir := t.TempDir()
	file, archive := filepath.Join(dir, "file"), filepath.Join(dir, "image.tar")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errOut := run(t, "build-image", "--name", "a:b", "--add", file+"=/file", "-o", archive)
	if code != 0 {
		t.Fatal(errOut)
	}
	if _, err := os.Stat(archive); err != nil {
		t.Error(err)
	}
}
