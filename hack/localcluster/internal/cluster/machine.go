package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// CheckMachine returns an error that says why no cluster can run on this machine.
func CheckMachine() error {
	if os.Geteuid() != 0 {
		return errors.New("localcluster makes namespaces, mounts and cgroups, and must run as root: try again with sudo")
	}
	return nil
}

// checkMachine looks for the programs and the kernel that the components need with that mode of kube-proxy.
func (c *Cluster) checkMachine(mode ProxyMode) error {
	if err := CheckMachine(); err != nil {
		return err
	}
	var missing []string
	needed := []string{"iptables", "iptables-restore", "iptables-save", "mount", "umount"}
	for _, program := range append(needed, mode.programs()...) {
		if !c.hasProgram(program) {
			missing = append(missing, program)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("not installed: %s; run hack/install-deps.sh cluster", strings.Join(missing, ", "))
	}
	if _, err := c.cgroups(); err != nil {
		return err
	}
	return nil
}

func (c *Cluster) hasProgram(name string) bool {
	for _, dir := range c.path() {
		if _, err := exec.LookPath(dir + "/" + name); err == nil {
			return true
		}
	}
	return false
}
