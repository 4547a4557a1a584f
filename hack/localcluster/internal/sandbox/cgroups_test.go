package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseCgroups(t *testing.T) {
	for name, c := range map[string]struct {
		mounts string
		want   Cgroups
	}{
		"v2": {
			mounts: "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n",
			want:   Cgroups{Name: "x", hierarchies: []string{"/sys/fs/cgroup"}, tracked: "/sys/fs/cgroup", unified: true},
		},
		"v1 with v2 aside": {
			mounts: "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n" +
				"cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n" +
				"cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n" +
				"cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n",
			want: Cgroups{
				Name:        "x",
				hierarchies: []string{"/sys/fs/cgroup/cpu,cpuacct", "/sys/fs/cgroup/pids"},
				tracked:     "/sys/fs/cgroup/pids",
				aside:       "/sys/fs/cgroup/unified",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseCgroups("x", strings.NewReader(c.mounts))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got, cmp.AllowUnexported(Cgroups{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseCgroupsSaysWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct{ mounts, want string }{
		"none":    {"proc /proc proc rw 0 0\n", "mount cgroup2 at /sys/fs/cgroup"},
		"no pids": {"cgroup /sys/fs/cgroup/cpu cgroup rw,cpu 0 0\n", "controller pids is not mounted"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseCgroups("x", strings.NewReader(c.mounts))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, expected %q", err, c.want)
			}
		})
	}
}

// Directories stand in for the kernel's: what is decided here is which are made
// and which are taken away.
func TestCgroupsCreateAndRemove(t *testing.T) {
	root := t.TempDir()
	groups := Cgroups{Name: "mine", tracked: filepath.Join(root, "pids"), aside: filepath.Join(root, "unified")}
	for _, controller := range []string{"cpuset", "pids"} {
		groups.hierarchies = append(groups.hierarchies, filepath.Join(root, controller))
	}
	for _, dir := range []string{"cpuset", "pids", "unified/mine/kubepods/pod1", "pids/theirs",
		"pids/mine/kubepods/pod1"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "cpuset", "cpuset.cpus"), []byte("0-1"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := groups.Create(); err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(root, "cpuset", "mine", "cpuset.cpus")
	if got, err := os.ReadFile(copied); err != nil || string(got) != "0-1" {
		t.Errorf("the new cpuset covers %q, %v, expected 0-1", got, err)
	}
	if _, err := os.Stat(filepath.Join(root, "pids", "mine", "components")); err != nil {
		t.Error(err)
	}
	if err := os.Remove(copied); err != nil { // the kernel's file goes with its group
		t.Fatal(err)
	}

	if err := groups.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(root, "*", "mine"))
	if len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(root, "pids", "theirs")); err != nil {
		t.Errorf("another cluster's group is gone: %v", err)
	}
}

func TestCgroupsProcessesIncludeSubgroups(t *testing.T) {
	root := t.TempDir()
	groups := Cgroups{Name: "mine", tracked: root}
	for dir, procs := range map[string]string{
		"mine/kubepods": "1\n",
		"theirs":        "2\n",
		"mine":          "not a number\n",
	} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.procs"), []byte(procs), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]int{1}, groups.processes()); diff != "" {
		t.Error(diff)
	}
}
