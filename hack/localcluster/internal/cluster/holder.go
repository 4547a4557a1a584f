package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// HoldCommand is the hidden command that keeps the mount namespace.
const HoldCommand = "hold-mounts"

// startHolder starts the process whose mount namespace the node's components share. It is in the cluster's cgroup and
// not in the node's, so that the mounts outlive a kill of the node.
func (n node) startHolder(ctx context.Context) error {
	c, name := n.cluster, n.own(holderName)
	var targets []string
	argv := []string{c.Self, HoldCommand}
	for _, bind := range n.binds() {
		if err := os.MkdirAll(bind.Source, 0o755); err != nil {
			return err
		}
		targets = append(targets, bind.Target)
		argv = append(argv, "--bind", bind.String())
	}
	if err := c.writeOwner(); err != nil {
		return err
	}
	if err := machine().Prepare(targets); err != nil {
		return fmt.Errorf("prepare the machine: %w", err)
	}

	ours, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	defer func() { _ = ours.Close() }()
	_, err = c.launch(ctx, name, process.Spec{
		Argv:      argv,
		Files:     []*os.File{theirs},
		NewMounts: true,
	})
	_ = theirs.Close()
	if err != nil {
		return err
	}
	// The read returns with the word "ready", or when the process ends.
	said, err := io.ReadAll(ours)
	if err != nil {
		return err
	}
	if string(said) != "ready" {
		return fmt.Errorf("the mounts of node %s could not be made; %s says: %s", n.name(),
			filepath.Base(c.LogFile(name)), c.logTail(name))
	}
	return nil
}

// ensureNamespaces creates the network and mount namespaces of the first node. It first ends the processes in older
// ones, which could not reach the cluster any more, those of the other nodes included.
func (c *Cluster) ensureNamespaces(ctx context.Context) error {
	first := c.firstNode()
	if sandbox.HasNetns(first.netns()) && c.records().Read(holderName).Alive() {
		return nil
	}
	if err := c.stopAndUnlink(ctx); err != nil {
		return err
	}
	if err := first.createCgroup(); err != nil {
		return err
	}
	if err := sandbox.CreateNetns(first.netns(), func() error {
		return sandbox.SetUpNetwork(mustPrefix(first.network()))
	}); err != nil {
		return err
	}
	return first.startHolder(ctx)
}

func (n node) createCgroup() error {
	groups, err := n.cgroups()
	if err != nil {
		return err
	}
	if err := groups.Create(); err != nil {
		return fmt.Errorf("make cgroups: %w", err)
	}
	return nil
}
