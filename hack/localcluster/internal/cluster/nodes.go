package cluster

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"strconv"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/lock"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// chooseNodes sets the number of nodes. When a second one comes, it ends the controller manager and the kubelet, which
// start again with the times of a cluster that notices dead nodes. It returns an error when the cluster has more nodes.
func (c *Cluster) chooseNodes(ctx context.Context, count int, report *progress.Reporter) error {
	have := len(c.nodes())
	if count == 0 || count == have {
		return nil
	}
	if count < have {
		return fmt.Errorf("--nodes %d: cluster %s has %d, and keeps them until `localcluster down --name %s`", count, c.Name,
			have, c.Name)
	}
	if have == 1 {
		for _, name := range []string{managerName, kubeletName} {
			if err := c.endRunning(ctx, name, "because a second node comes", report); err != nil {
				return err
			}
		}
	}
	return writeFile(c.nodesFile(), []byte(strconv.Itoa(count)+"\n"))
}

// endRunning ends a component that runs, and reports why.
func (c *Cluster) endRunning(ctx context.Context, name, why string, report *progress.Reporter) error {
	running := c.records().Read(name)
	if !running.Alive() {
		return nil
	}
	return report.Step(name+" stopped, "+why, func() error { return running.Kill(ctx) })
}

// KillNode kills the kubelet, containerd, kube-proxy and all containers of a node, as if the node had lost its power.
// The network of the node stays, so that its peers see connections end. It returns an error when there is no such node,
// the node has the control plane, or a process does not end.
func (c *Cluster) KillNode(ctx context.Context, name string, report *progress.Reporter) error {
	return c.withNode(ctx, name, func(n node) error {
		return report.Step("node "+name+" killed", func() error { return n.kill(ctx) })
	})
}

// StartNode starts what of a node does not run, and blocks until Kubernetes can use the node. It returns an error when
// there is no such node, the cluster does not run, or the node does not become ready.
func (c *Cluster) StartNode(ctx context.Context, name string, report *progress.Reporter) error {
	if err := process.RaiseFileLimit(); err != nil {
		return err
	}
	return c.withNode(ctx, name, func(n node) error { return n.up(ctx, report) })
}

// withNode calls f with a node other than the first, while no other command changes the cluster.
func (c *Cluster) withNode(ctx context.Context, name string, f func(node) error) error {
	release, err := lock.Acquire(ctx, c.lockFile())
	if err != nil {
		return err
	}
	defer release()
	if err := c.checkOwner(); err != nil {
		return err
	}
	if err := c.CheckRunning(); err != nil {
		return err
	}
	n, err := c.furtherNode(name)
	if err != nil {
		return err
	}
	return f(n)
}

// up starts what of a further node does not run. The first node runs.
func (n node) up(ctx context.Context, report *progress.Reporter) error {
	start := func(comp component) func() error {
		return func() error { return n.cluster.start(ctx, comp) }
	}
	containerd, kubelet, proxy := n.containerd(), n.kubelet(), n.proxy()
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"namespaces and cgroups of node " + n.name(), func() error { return n.ensureNamespaces(ctx) }},
		{containerd.name, start(containerd)},
		{"images of pause and coredns on node " + n.name(), func() error { return n.ensureImages(ctx) }},
		{kubelet.name, start(kubelet)},
		{"routes to the pods of node " + n.name(), func() error { return n.connectPods(ctx) }},
		{proxy.name, start(proxy)},
		{"node " + n.name() + " Ready", func() error { return n.awaitReady(ctx) }},
	} {
		if err := report.Step(step.name, step.do); err != nil {
			return err
		}
	}
	return nil
}

// ensureNamespaces creates the namespaces and the cgroup of a further node. Of a node that was killed it keeps the
// network only, as of a machine that starts again.
func (n node) ensureNamespaces(ctx context.Context) error {
	groups, err := n.cgroups()
	if err != nil {
		return err
	}
	connected := sandbox.HasNetns(n.netns())
	if connected && n.cluster.records().Read(n.own(holderName)).Alive() && !groups.Empty() {
		return nil
	}
	if err := n.stop(ctx); err != nil {
		return err
	}
	if err := n.createCgroup(); err != nil {
		return err
	}
	if !connected {
		err := sandbox.CreateNetns(n.netns(), func() error {
			return sandbox.JoinNetwork(mustPrefix(n.network()), n.cluster.Netns(), n.key())
		})
		if err != nil {
			return err
		}
	}
	return n.startHolder(ctx)
}

// kill ends all processes of a further node except the one that keeps its mounts, and with them the network namespaces
// of its pods.
func (n node) kill(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	// The kubelet comes first, so that it does not report how the containers end.
	for _, name := range []string{kubeletName, containerdName} {
		if err := n.cluster.records().Read(n.own(name)).Kill(ctx); err != nil {
			return err
		}
	}
	groups, err := n.cgroups()
	if err != nil {
		return err
	}
	return groups.KillAll(ctx)
}

// stop ends all processes of a further node, and removes its mounts, its cgroup and its sockets.
func (n node) stop(ctx context.Context) error {
	if err := n.kill(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	if err := n.cluster.records().Read(n.own(holderName)).Kill(ctx); err != nil {
		return err
	}
	groups, err := n.cgroups()
	if err != nil {
		return err
	}
	if err := groups.Remove(ctx); err != nil {
		return err
	}
	return os.RemoveAll(n.run(""))
}

// connectPods configures the network of the node's pods, and routes between them and the pods of the other nodes.
func (n node) connectPods(ctx context.Context) error {
	own, err := n.podNetwork(ctx)
	if err != nil {
		return err
	}
	if err := n.configuration(own.String()).write(map[string]string{cniTemplate: n.cniFile()}); err != nil {
		return err
	}
	for _, other := range n.cluster.nodes() {
		// A node that comes later makes the routes itself.
		if other == n || !sandbox.HasNetns(other.netns()) {
			continue
		}
		theirs, err := other.podNetwork(ctx)
		if err != nil {
			return err
		}
		if err := sandbox.Route(n.netns(), theirs, mustAddr(other.ip())); err != nil {
			return err
		}
		if err := sandbox.Route(other.netns(), own, mustAddr(n.ip())); err != nil {
			return err
		}
	}
	return nil
}

// podNetwork waits until the controller manager has given the node addresses for its pods, and returns them.
func (n node) podNetwork(ctx context.Context) (netip.Prefix, error) {
	for _, condition := range []string{"--for=create", "--for=jsonpath={.spec.podCIDR}"} {
		if err := n.await(ctx, condition); err != nil {
			return netip.Prefix{}, err
		}
	}
	out, err := n.cluster.kubectl(ctx, nil, "get", "node/"+n.name(), "--output=jsonpath={.spec.podCIDR}")
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.ParsePrefix(string(out))
}

// awaitReady waits until the node is registered and ready.
func (n node) awaitReady(ctx context.Context) error {
	for _, condition := range []string{"--for=create", "--for=condition=Ready"} {
		if err := n.await(ctx, condition); err != nil {
			return err
		}
	}
	return nil
}

// await waits for a condition of the node. The error has the end of the kubelet's log.
func (n node) await(ctx context.Context, condition string) error {
	_, err := n.cluster.kubectl(ctx, nil, "wait", nodeTimeout, condition, "node/"+n.name())
	if err != nil {
		name := n.own(kubeletName)
		return fmt.Errorf("%w; the end of %s:\n%s", err, n.cluster.LogFile(name), n.cluster.logTail(name))
	}
	return nil
}

// labelControlPlane marks the first of several nodes, as kubeadm does. A kubelet may not do that itself.
func (c *Cluster) labelControlPlane(ctx context.Context) error {
	_, err := c.kubectl(ctx, nil, "label", "--overwrite", "node/"+c.firstNode().name(),
		"node-role.kubernetes.io/control-plane=")
	return err
}
