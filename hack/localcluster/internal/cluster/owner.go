package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckAccess returns an error when the user may not read the cluster's state, which only root can.
func (c *Cluster) CheckAccess() error {
	_, err := os.ReadDir(c.state)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cluster %s belongs to root: try again with sudo", c.Name)
	}
	return nil
}

// checkOwner returns an error when a cluster of the same name has another state directory, because namespaces and
// cgroups are found by the name alone.
func (c *Cluster) checkOwner() error {
	kept, err := os.ReadFile(c.ownerFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if string(kept) == c.state {
		return nil
	}
	if _, err := os.Stat(string(kept)); errors.Is(err, fs.ErrNotExist) {
		return nil // what was there has been removed by hand
	}
	return fmt.Errorf("cluster %s is kept in %s: give --state-dir %s, or another --name", c.Name, kept,
		filepath.Dir(string(kept)))
}

func (c *Cluster) writeOwner() error { return writeFile(c.ownerFile(), []byte(c.state)) }
