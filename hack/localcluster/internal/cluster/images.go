package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/image"
)

// LoadImages imports image archives into the containerd of each node. Loading an image again is harmless. It returns an
// error when an archive does not exist, the cluster or one of its nodes does not run, or the import fails.
func (c *Cluster) LoadImages(ctx context.Context, archives ...string) error {
	for _, n := range c.nodes() {
		if err := n.loadImages(ctx, archives...); err != nil {
			return fmt.Errorf("node %s: %w", n.name(), err)
		}
	}
	return nil
}

func (n node) loadImages(ctx context.Context, archives ...string) error {
	snapshotter := snapshotterFor(n.cluster.state)
	for _, archive := range archives {
		if _, err := os.Stat(archive); err != nil {
			return fmt.Errorf("image archive: %w", err)
		}
		if _, err := n.ctr(ctx, "images", "import", "--snapshotter", snapshotter, archive); err != nil {
			return fmt.Errorf("load %s: %w", archive, err)
		}
	}
	return nil
}

// ensureImages loads the images that the cluster itself is made of.
func (n node) ensureImages(ctx context.Context) error {
	c := n.cluster
	for name, binary := range map[string]string{pauseImage: "pause", dnsImage: "coredns"} {
		archive := filepath.Join(n.images(), binary+".tar")
		if err := os.MkdirAll(filepath.Dir(archive), 0o755); err != nil {
			return err
		}
		if newer(archive, c.binary(binary)) {
			continue
		}
		err := image.Build(image.Spec{
			Name:       name,
			Files:      []image.File{{Source: c.binary(binary), Target: "/" + binary}},
			Entrypoint: []string{"/" + binary},
			User:       "65532:65532",
			Platform:   "linux/" + runtime.GOARCH,
		}, archive)
		if err != nil {
			return err
		}
		if err := n.loadImages(ctx, archive); err != nil {
			// Not loaded: to be tried again.
			return errors.Join(err, os.Remove(archive))
		}
	}
	return nil
}

// newer reports whether the file was written after the other.
func newer(file, other string) bool {
	a, errA := os.Stat(file)
	b, errB := os.Stat(other)
	return errA == nil && errB == nil && a.ModTime().After(b.ModTime())
}
