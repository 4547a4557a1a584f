package cluster

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckAccess refuses to judge a cluster by what its user may not see of it.
func (c *Cluster) CheckAccess() error {
	_, err := os.ReadDir(c.state)
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("cluster %s belongs to root: try again with sudo", c.Name)
	}
	return nil
}

// checkOwner refuses to touch a cluster of the same name that is kept in
// another state directory: namespaces and cgroups are known by the name alone.
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
