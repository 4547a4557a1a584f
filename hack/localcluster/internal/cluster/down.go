package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/lock"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// downTimeout bounds the time until the kernel has ended killed processes.
const downTimeout = time.Minute

// Down removes the cluster with all its data, in whatever state it is. It returns nil when there is no cluster, and an
// error when a process does not end or a file cannot be removed.
func (c *Cluster) Down(ctx context.Context, report *progress.Reporter) error {
	release, err := lock.Acquire(ctx, c.lockFile())
	if err != nil {
		return err
	}
	defer release()
	if err := c.checkOwner(); err != nil {
		return err
	}
	return report.Step("cluster "+c.Name+" taken down", func() error { return c.remove(ctx) })
}

func (c *Cluster) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := c.stopAndUnlink(ctx); err != nil {
		return err
	}
	for _, dir := range []string{c.state, c.run} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove %s: %w", dir, err)
		}
	}
	return nil
}

// startOver removes the cluster like remove, but keeps the logs, which tell
// why, and etcd's data, and says where that is.
func (c *Cluster) startOver(ctx context.Context) (aside string, err error) {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := c.stopAndUnlink(ctx); err != nil {
		return "", err
	}
	return c.setDataAside()
}

// setDataAside empties the state directory but for the logs, the number of nodes, the mode of kube-proxy, and etcd's
// data, which takes the place of what was set aside before.
func (c *Cluster) setDataAside() (aside string, err error) {
	const kept = "etcd-unusable"
	aside = filepath.Join(c.state, kept)
	if err := os.RemoveAll(aside); err != nil {
		return "", err
	}
	if err := os.Rename(c.data("etcd"), aside); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(c.state)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if slices.Contains([]string{kept, "logs", proxyModeName, nodesName}, e.Name()) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(c.state, e.Name())); err != nil {
			return "", err
		}
	}
	return aside, nil
}

// stopAndUnlink ends all processes and removes their network namespaces.
func (c *Cluster) stopAndUnlink(ctx context.Context) error {
	if err := c.stop(ctx); err != nil {
		return err
	}
	// Those of all nodes: how many the cluster had may be forgotten.
	for _, name := range append(sandbox.NetnsNames(c.Netns()+furtherNetns), c.Netns()) {
		if err := sandbox.DeleteNetns(name); err != nil {
			return err
		}
	}
	return nil
}

// stop ends all processes and leaves the data. Those that could start others
// come first: the kubelets, so that no pod comes back, then all in the cgroup,
// which holds the containers as well. Their mounts go with the last of them.
func (c *Cluster) stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	records := c.records()
	names := records.Names()
	starters := make([]string, 0, 2*maxNodes)
	for number := range maxNodes {
		n := node{c, number + 1}
		starters = append(starters, n.own(kubeletName), n.own(containerdName))
	}
	for _, name := range append(starters, names...) {
		if err := records.Read(name).Kill(ctx); err != nil {
			return err
		}
	}
	groups, err := c.cgroups()
	if err != nil {
		return err
	}
	if err := groups.KillAll(ctx); err != nil {
		return err
	}
	if err := groups.Remove(ctx); err != nil {
		return err
	}
	for _, name := range names {
		if err := records.Forget(name); err != nil {
			return err
		}
	}
	// Sockets and what containerd noted of containers that are gone by now.
	return os.RemoveAll(c.run)
}

// RestoreMachine undoes the changes of clusters to the machine, unless there is still a cluster. It returns an error
// when a setting cannot be restored.
func RestoreMachine(stateDir string) error {
	if len(Names(stateDir)) > 0 {
		return nil
	}
	if err := machine().Restore(); err != nil {
		return fmt.Errorf("put back what the machine was like: %w", err)
	}
	for _, dir := range []string{DefaultStateDir, machineDir, runDir} {
		err := os.Remove(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) {
			return err
		}
	}
	return nil
}
