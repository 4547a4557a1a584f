package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// maxNodes is the largest number of nodes that a cluster may have.
const maxNodes = 4

// nodesName is the name of the file below the cluster's state that holds the number of nodes.
const nodesName = "nodes"

// node is one of the nodes of a cluster. The first has the control plane besides, and the cluster's own places. The
// others have places below or beside those.
type node struct {
	cluster *Cluster
	// number is 1 for the first node.
	number int
}

// CheckNodes returns an error that names the bounds when a cluster cannot have that number of nodes. Zero stands for
// the number that the cluster has.
func CheckNodes(count int) error {
	if count < 0 || count > maxNodes {
		return fmt.Errorf("--nodes %d: expected 1 to %d", count, maxNodes)
	}
	return nil
}

func (c *Cluster) nodesFile() string { return filepath.Join(c.state, nodesName) }

// nodes returns the nodes of the cluster, the first one first.
func (c *Cluster) nodes() []node {
	count := 1
	data, err := os.ReadFile(c.nodesFile())
	if n, convErr := strconv.Atoi(strings.TrimSpace(string(data))); err == nil && convErr == nil && CheckNodes(n) == nil {
		count = max(count, n)
	}
	var all []node
	for number := 1; number <= count; number++ {
		all = append(all, node{c, number})
	}
	return all
}

// firstNode returns the node with the control plane.
func (c *Cluster) firstNode() node { return node{c, 1} }

// furtherNode returns the node of that name. It returns an error that names the nodes there are when there is none, and
// one for the first node, because the cluster ends with its control plane.
func (c *Cluster) furtherNode(name string) (node, error) {
	further := c.nodes()[1:]
	at := slices.IndexFunc(further, func(n node) bool { return n.name() == name })
	switch {
	case at >= 0:
		return further[at], nil
	case name == c.firstNode().name():
		return node{}, fmt.Errorf("node %s has the control plane, and can only be stopped with the cluster", name)
	case len(further) == 0:
		return node{}, fmt.Errorf("cluster %s has one node; run `localcluster up --name %s --nodes 2` for another one",
			c.Name, c.Name)
	}
	var names []string
	for _, n := range further {
		names = append(names, n.name())
	}
	return node{}, fmt.Errorf("no node %q; there are %s", name, strings.Join(names, ", "))
}

// noticesDeadNodes reports whether Kubernetes takes a node for dead that is silent for 4 seconds. With one node it does
// not: on a machine with much load it would take the only node for dead.
func (c *Cluster) noticesDeadNodes() bool { return len(c.nodes()) > 1 }

func (n node) first() bool { return n.number == 1 }

// own returns the name of what each node has one of: that of the first node is called like it, that of the second has
// the suffix -2.
func (n node) own(name string) string {
	if n.first() {
		return name
	}
	return fmt.Sprintf("%s-%d", name, n.number)
}

// name is the name of the node in Kubernetes.
func (n node) name() string { return n.own(n.cluster.Name) }

// key is the name of the directories and the cgroup of a further node, and of its port of the bridge.
func (n node) key() string { return n.own("node") }

// below returns the place of a further node below one of the cluster's, or that one for the first node.
func (n node) below(dir string) string {
	if n.first() {
		return dir
	}
	return filepath.Join(dir, n.key())
}

func (n node) config(name string) string { return filepath.Join(n.below(n.cluster.config("")), name) }
func (n node) data(name string) string   { return filepath.Join(n.below(n.cluster.data("")), name) }
func (n node) run(name string) string    { return filepath.Join(n.below(n.cluster.run), name) }

// images is the directory of the archives that are in the node's containerd.
func (n node) images() string { return n.below(filepath.Join(n.cluster.state, "images")) }

// ip is the node's address.
func (n node) ip() string { return fmt.Sprintf("%s%d", nodeIPs, n.number) }

// network is the node's address with the network of all nodes.
func (n node) network() string { return n.ip() + "/24" }

// netns is the name of the node's network namespace. No name of a cluster has a dot.
func (n node) netns() string {
	if n.first() {
		return n.cluster.Netns()
	}
	return n.cluster.Netns() + furtherNetns + n.key()
}

// furtherNetns is between the name of a cluster's network namespace and that of a further node's.
const furtherNetns = "."

// cgroupRoot is the cgroup that the kubelet puts pods below.
func (n node) cgroupRoot() string { return n.below("/wsfleet-" + n.cluster.Name) }

// cgroups returns the node's cgroup. That of the first node is the cluster's.
func (n node) cgroups() (sandbox.Cgroups, error) {
	groups, err := n.cluster.cgroups()
	if err != nil || n.first() {
		return groups, err
	}
	return groups.Below(n.key()), nil
}

// containerdSocket is the one seen from the machine.
func (n node) containerdSocket() string { return n.run("containerd/containerd.sock") }

// binds are the paths that components have built in, or that are best left at
// their defaults, and that two nodes must not share.
func (n node) binds() []sandbox.Bind {
	return []sandbox.Bind{
		{Source: n.data("kubelet"), Target: "/var/lib/kubelet"},
		{Source: n.data("cni"), Target: "/var/lib/cni"},
		{Source: n.data("pod-logs"), Target: "/var/log/pods"},
		{Source: n.data("container-logs"), Target: "/var/log/containers"},
		{Source: n.run("containerd"), Target: "/run/containerd"},
		// mount(8) notes there what it has mounted.
		{Source: n.run("mount"), Target: "/run/mount"},
	}
}
