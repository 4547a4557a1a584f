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

// FindCgroups returns the group of that name in the machine's cgroup mounts. It returns an error when there are none
// or a controller is missing.
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

// Below returns the group of that name below this one. Its processes are the cluster's, too.
func (c Cgroups) Below(name string) Cgroups {
	c.Name = filepath.Join(c.Name, name)
	return c
}

// Create makes the group in every hierarchy, because kubelet requires it. It returns an error when the kernel refuses.
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
		// A new cpuset accepts processes only after its CPUs and memory nodes are set.
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

// Adopt moves a process to the cluster's group, which its children inherit. It returns an error when the kernel
// refuses.
func (c Cgroups) Adopt(pid int) error {
	return os.WriteFile(filepath.Join(c.components(), "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600)
}

func (c Cgroups) components() string { return filepath.Join(c.tracked, c.Name, components) }

// Empty reports whether no process of the cluster is left.
func (c Cgroups) Empty() bool { return len(c.processes()) == 0 }

// KillAll kills every process of the cluster, including those in containers, and blocks until they have ended. It
// returns an error when ctx ends before.
func (c Cgroups) KillAll(ctx context.Context) error {
	// The loop repeats until none is left, because a process may start another one meanwhile.
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

// Remove removes the groups. The kernel refuses for a moment after the last process has ended, so Remove retries. It
// returns an error when ctx ends before.
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
