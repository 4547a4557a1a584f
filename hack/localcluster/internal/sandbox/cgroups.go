package sandbox

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
)

// Cgroups is the group of a cluster in every hierarchy of the machine: kubelet
// puts the pods below it, and whatever a component starts is found through it.
type Cgroups struct {
	// Name is the group below each hierarchy's root.
	Name string
	// hierarchies are the mount points: one with cgroup v2, several with v1.
	hierarchies []string
	// tracked is the one that the components themselves are put into. The
	// others are left as the caller's session has them.
	tracked string
	unified bool
	// aside is a cgroup2 mount beside v1 hierarchies: runc makes groups there
	// too, though no controller is in it.
	aside string
}

// components is the group of the processes that are not in pods. With cgroup
// v2 a group with groups below it holds no processes itself.
const components = "components"

// FindCgroups reads how the machine mounts its cgroups.
func FindCgroups(name string) (Cgroups, error) {
	mounts, err := os.Open("/proc/self/mounts")
	if err != nil {
		return Cgroups{}, err
	}
	defer func() { _ = mounts.Close() }()
	return parseCgroups(name, mounts)
}

func parseCgroups(name string, mounts io.Reader) (Cgroups, error) {
	groups := Cgroups{Name: name}
	var unified string
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 4 {
			continue
		}
		switch at := fields[1]; fields[2] {
		case "cgroup2":
			unified = at
		case "cgroup":
			groups.hierarchies = append(groups.hierarchies, at)
			if slices.Contains(strings.Split(fields[3], ","), "pids") {
				groups.tracked = at
			}
		}
	}
	switch {
	case groups.tracked != "":
		groups.aside = unified
		return groups, nil
	case len(groups.hierarchies) > 0:
		return Cgroups{}, errors.New(
			"the cgroup controller pids is not mounted: kubelet needs it; mount it below /sys/fs/cgroup")
	case unified != "":
		return Cgroups{Name: name, hierarchies: []string{unified}, tracked: unified, unified: true}, nil
	}
	return Cgroups{}, errors.New("no cgroups are mounted: kubelet needs them; mount cgroup2 at /sys/fs/cgroup")
}

// Create makes the group in every hierarchy: kubelet insists that it exists.
func (c Cgroups) Create() error {
	for _, at := range c.hierarchies {
		if c.unified {
			// Groups below get a controller only when the one above hands it on.
			for _, dir := range []string{at, filepath.Join(at, c.Name)} {
				if err := os.MkdirAll(dir, 0o755); err != nil {
					return err
				}
				const handedOn = "+cpu +cpuset +io +memory +pids"
				if err := os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte(handedOn), 0o600); err != nil {
					return fmt.Errorf("hand on cgroup controllers in %s: %w", dir, err)
				}
			}
			continue
		}
		dir := filepath.Join(at, c.Name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		// A new cpuset takes no process before it is told which it covers.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			covered, err := os.ReadFile(filepath.Join(at, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, file), covered, 0o600); err != nil {
				return err
			}
		}
	}
	return os.MkdirAll(c.components(), 0o755)
}

// Adopt makes a process, and all that it will start, one of the cluster's.
func (c Cgroups) Adopt(pid int) error {
	return os.WriteFile(filepath.Join(c.components(), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
}

func (c Cgroups) components() string { return filepath.Join(c.tracked, c.Name, components) }

// Empty tells whether no process of the cluster is left.
func (c Cgroups) Empty() bool { return len(c.processes()) == 0 }

// KillAll ends every process of the cluster, those in containers too, and
// waits until they are gone.
func (c Cgroups) KillAll(ctx context.Context) error {
	// Until none is left: one may be starting another meanwhile.
	for pids := c.processes(); len(pids) > 0; pids = c.processes() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%d processes of cgroup %s do not end: %w", len(pids), c.Name, err)
		}
		for _, pid := range pids {
			id, err := process.Identify(pid)
			if err != nil {
				continue // ended since
			}
			if err := id.KillIf(ctx, func() bool { return slices.Contains(c.processes(), pid) }); err != nil {
				return err
			}
		}
	}
	return nil
}

// processes lists the ids below the cluster's tracked group.
func (c Cgroups) processes() []int {
	var pids []int
	_ = filepath.WalkDir(filepath.Join(c.tracked, c.Name), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() != "cgroup.procs" {
			return nil //nolint:nilerr // a group that went away has no processes
		}
		listed, err := os.ReadFile(path)
		if err != nil {
			return nil //nolint:nilerr // likewise
		}
		for _, field := range strings.Fields(string(listed)) {
			if pid, err := strconv.Atoi(field); err == nil {
				if id, err := process.Identify(pid); err == nil && id.Alive() {
					pids = append(pids, pid)
				}
			}
		}
		return nil
	})
	return pids
}

// Remove takes the groups away. The kernel refuses for a moment after the last
// process has ended, and tells nobody when the moment is over.
func (c Cgroups) Remove(ctx context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := c.removeOnce()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("remove cgroups: %w", err)
		case <-again.C:
		}
	}
}

func (c Cgroups) removeOnce() error {
	var failed error
	everywhere := c.hierarchies
	if c.aside != "" {
		everywhere = append(slices.Clone(everywhere), c.aside)
	}
	for _, at := range everywhere {
		var dirs []string
		root := filepath.Join(at, c.Name)
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, path)
			}
			return nil
		})
		for _, dir := range slices.Backward(dirs) {
			if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				failed = errors.Join(failed, err)
			}
		}
	}
	return failed
}
