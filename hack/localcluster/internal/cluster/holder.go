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

// startHolder starts the process whose mount namespace the components share.
func (c *Cluster) startHolder(ctx context.Context) error {
	var targets []string
	argv := []string{c.Self, HoldCommand}
	for _, bind := range c.binds() {
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
	_, err = c.launch(ctx, holderName, process.Spec{
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
		return fmt.Errorf("the cluster's mounts could not be made; %s says: %s", filepath.Base(c.LogFile(holderName)),
			c.logTail(holderName))
	}
	return nil
}

// ensureNamespaces creates the network and mount namespaces. It first ends the processes in older ones, which could not
// reach the cluster any more.
func (c *Cluster) ensureNamespaces(ctx context.Context) error {
	if sandbox.HasNetns(c.Netns()) && c.records().Read(holderName).Alive() {
		return nil
	}
	if err := c.stop(ctx); err != nil {
		return err
	}
	groups, err := c.cgroups()
	if err != nil {
		return err
	}
	if err := groups.Create(); err != nil {
		return fmt.Errorf("make cgroups: %w", err)
	}
	if err := sandbox.CreateNetns(c.Netns(), func() error {
		return sandbox.SetUpNetwork(mustPrefix(nodeNetwork))
	}); err != nil {
		return err
	}
	return c.startHolder(ctx)
}
