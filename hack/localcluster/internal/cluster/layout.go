// Package cluster starts, checks and removes a real Kubernetes on one machine, for the commands of package cli. It
// defines the components, their configuration and their files.
package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// DefaultName is the cluster that a command means when it names none.
const DefaultName = "wsfleet"

// DefaultStateDir is where clusters are kept unless the user says otherwise.
const DefaultStateDir = "/var/lib/wsfleet/localcluster"

// Fixed for all clusters, whatever their state directories.
const (
	// runDir is short because a socket's path may have 107 characters.
	runDir     = "/run/wsfleet"
	machineDir = "/var/lib/wsfleet"
)

// Every cluster has a network of its own, so the addresses are the same in all.
const (
	// nodeIPs are the addresses of nodes, without the number of the node.
	nodeIPs = "172.31.0."
	// controlIP is the address of the first node, with the API server.
	controlIP  = nodeIPs + "1"
	podNetwork = "10.244.0.0/16"
	// firstPodNetwork is what the controller manager gives to the first node that registers.
	firstPodNetwork = "10.244.0.0/24"
	serviceNetwork  = "10.96.0.0/16"
	apiserverIP     = "10.96.0.1"
	dnsIP           = "10.96.0.10"
	dnsDomain       = "cluster.local"
	securePort      = "6443"
	etcdAddress     = "127.0.0.1:2379"
)

// Where and under which domain the cluster's names are resolved.
const (
	DNSAddress = dnsIP + ":53"
	DNSDomain  = dnsDomain
)

// Cluster is one cluster and all its places.
type Cluster struct {
	Name string
	// BinDir holds the binaries it is made of.
	BinDir string
	// Self is the path of this program, which serves as a cluster's forwarder
	// and as the holder of its mounts.
	Self string

	state string
	run   string
}

// namePattern keeps a name fit for a node, a directory, a cgroup and a file.
var namePattern = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,18}[a-z0-9])?$`)

// New returns the cluster of that name, whether it exists or not. It returns an error when the name is not valid or
// stateDir is not absolute.
func New(name, stateDir, binDir, self string) (*Cluster, error) {
	if !namePattern.MatchString(name) {
		return nil, fmt.Errorf(
			"--name %q: expected 1 to 20 lower case letters, digits and dashes, with a letter first and no dash last", name)
	}
	if !filepath.IsAbs(stateDir) {
		return nil, fmt.Errorf("--state-dir %q: expected an absolute path", stateDir)
	}
	return &Cluster{
		Name:   name,
		BinDir: binDir,
		Self:   self,
		state:  filepath.Join(stateDir, name),
		run:    filepath.Join(runDir, name),
	}, nil
}

// Names lists the clusters that have left something in the state directory or
// at runtime.
func Names(stateDir string) []string {
	found := map[string]bool{}
	for _, dir := range []string{stateDir, runDir} {
		entries, _ := os.ReadDir(dir) // none there: no cluster
		for _, e := range entries {
			if e.IsDir() && namePattern.MatchString(e.Name()) {
				found[e.Name()] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// Kubeconfig is the administrator's, for use from the machine.
func (c *Cluster) Kubeconfig() string { return c.config("admin.kubeconfig") }

// Netns returns the name of the cluster's network namespace.
func (c *Cluster) Netns() string { return "wsfleet-" + c.Name }

// LogFile returns the path of a component's log.
func (c *Cluster) LogFile(component string) string {
	return filepath.Join(c.state, "logs", component+".log")
}

func (c *Cluster) binary(name string) string { return filepath.Join(c.BinDir, name) }
func (c *Cluster) config(name string) string { return filepath.Join(c.state, "config", name) }
func (c *Cluster) pki(name string) string    { return filepath.Join(c.state, "pki", name) }
func (c *Cluster) data(name string) string   { return filepath.Join(c.state, "data", name) }
func (c *Cluster) ownerFile() string         { return filepath.Join(c.run, "state-dir") }
func (c *Cluster) lockFile() string          { return c.run + ".lock" }

// innerContainerdSocket is the socket of a node's containerd, seen by the node's components.
const innerContainerdSocket = "/run/containerd/containerd.sock"

func (c *Cluster) records() process.Records {
	return process.Records{Dir: filepath.Join(c.state, "processes")}
}

func (c *Cluster) cgroups() (sandbox.Cgroups, error) {
	return sandbox.FindCgroups("wsfleet-" + c.Name)
}

func machine() sandbox.Machine {
	return sandbox.Machine{Path: filepath.Join(machineDir, "machine-before.json"), Sysctls: "/proc/sys"}
}

func mustPrefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
func mustAddr(s string) netip.Addr     { return netip.MustParseAddr(s) }
