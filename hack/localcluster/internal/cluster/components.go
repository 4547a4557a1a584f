package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Names of the processes that are not Kubernetes's own.
const (
	holderName    = "mounts"
	apiForwarder  = "apiserver-forward"
	forwardPrefix = "forward-"
)

// Names of components that are also ended on their own.
const (
	containerdName = "containerd"
	kubeletName    = "kubelet"
	managerName    = "kube-controller-manager"
	// proxyName is the component whose mode can be chosen.
	proxyName = "kube-proxy"
)

// component is one long-running program of the cluster.
type component struct {
	name string
	argv []string
	// node is the node in whose namespaces and cgroup the component runs.
	node node
	// ready is the URL of the readiness probe inside the node's network, or "unix:PATH" for the socket at PATH as seen
	// from the machine.
	ready string
	// timeout bounds the time until the component is ready.
	timeout time.Duration
}

// componentsOfFirst are those of the first node, in the order in which they need each other.
func (c *Cluster) componentsOfFirst() []component {
	first := c.firstNode()
	return []component{
		c.etcd(), first.containerd(), c.apiServer(), c.controllerManager(), c.scheduler(), first.kubelet(), first.proxy(),
	}
}

// components are those of all nodes.
func (c *Cluster) components() []component {
	all := c.componentsOfFirst()
	for _, n := range c.nodes()[1:] {
		all = append(all, n.components()...)
	}
	return all
}

// components are those that each node has.
func (n node) components() []component { return []component{n.containerd(), n.kubelet(), n.proxy()} }

func (c *Cluster) etcd() component {
	return component{
		name: "etcd",
		node: c.firstNode(),
		argv: []string{
			c.binary("etcd"),
			"--name=" + c.Name,
			"--data-dir=" + c.data("etcd"),
			"--listen-client-urls=http://" + etcdAddress,
			"--advertise-client-urls=http://" + etcdAddress,
			"--listen-peer-urls=http://127.0.0.1:2380",
			"--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=" + c.Name + "=http://127.0.0.1:2380",
			// Much faster on slow disks; the data need not outlive a power cut.
			"--unsafe-no-fsync",
			"--log-level=warn",
		},
		ready:   "http://" + etcdAddress + "/readyz",
		timeout: 30 * time.Second,
	}
}

func (c *Cluster) apiServer() component {
	return component{
		name: "kube-apiserver",
		node: c.firstNode(),
		argv: []string{
			c.binary("kube-apiserver"),
			"--etcd-servers=http://" + etcdAddress,
			"--advertise-address=" + controlIP,
			"--secure-port=" + securePort,
			"--service-cluster-ip-range=" + serviceNetwork,
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--client-ca-file=" + c.pki("ca.crt"),
			"--tls-cert-file=" + c.pki("apiserver.crt"),
			"--tls-private-key-file=" + c.pki("apiserver.key"),
			"--kubelet-certificate-authority=" + c.pki("ca.crt"),
			"--kubelet-client-certificate=" + c.pki("apiserver-kubelet-client.crt"),
			"--kubelet-client-key=" + c.pki("apiserver-kubelet-client.key"),
			// The node's name is in no DNS.
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc." + dnsDomain,
			"--service-account-key-file=" + c.pki("service-account.pub"),
			"--service-account-signing-key-file=" + c.pki("service-account.key"),
			// The aggregation layer reaches the metrics API through its pods.
			"--enable-aggregator-routing=true",
			"--requestheader-client-ca-file=" + c.pki(proxyAuthority+".crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file=" + c.pki("front-proxy-client.crt"),
			"--proxy-client-key-file=" + c.pki("front-proxy-client.key"),
		},
		ready:   "https://" + controlIP + ":" + securePort + "/readyz",
		timeout: 90 * time.Second,
	}
}

func (c *Cluster) controllerManager() component {
	argv := []string{
		c.binary("kube-controller-manager"),
		"--kubeconfig=" + c.config("kube-controller-manager.kubeconfig"),
		"--authentication-kubeconfig=" + c.config("kube-controller-manager.kubeconfig"),
		"--authorization-kubeconfig=" + c.config("kube-controller-manager.kubeconfig"),
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		"--allocate-node-cidrs",
		"--cluster-cidr=" + podNetwork,
		"--service-cluster-ip-range=" + serviceNetwork,
		"--root-ca-file=" + c.pki("ca.crt"),
		"--service-account-private-key-file=" + c.pki("service-account.key"),
		"--use-service-account-credentials=true",
		"--cluster-signing-cert-file=" + c.pki("ca.crt"),
		"--cluster-signing-key-file=" + c.pki("ca.key"),
		// Tests wait for what the autoscaler does.
		"--horizontal-pod-autoscaler-sync-period=5s",
	}
	if c.noticesDeadNodes() {
		argv = append(argv, "--node-monitor-period=1s", "--node-monitor-grace-period=4s")
	}
	return component{
		name:    managerName,
		node:    c.firstNode(),
		argv:    argv,
		ready:   "https://127.0.0.1:10257/healthz",
		timeout: 60 * time.Second,
	}
}

func (c *Cluster) scheduler() component {
	return component{
		name: "kube-scheduler",
		node: c.firstNode(),
		argv: []string{
			c.binary("kube-scheduler"),
			"--kubeconfig=" + c.config("kube-scheduler.kubeconfig"),
			"--authentication-kubeconfig=" + c.config("kube-scheduler.kubeconfig"),
			"--authorization-kubeconfig=" + c.config("kube-scheduler.kubeconfig"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
		},
		ready:   "https://127.0.0.1:10259/healthz",
		timeout: 60 * time.Second,
	}
}

func (n node) containerd() component {
	return component{
		name: n.own(containerdName),
		node: n,
		argv: []string{
			n.cluster.binary(containerdName), "--config=" + n.config("containerd.toml"), "--log-level=warn",
		},
		ready:   "unix:" + n.containerdSocket(),
		timeout: 30 * time.Second,
	}
}

func (n node) kubelet() component {
	return component{
		name: n.own(kubeletName),
		node: n,
		argv: []string{
			n.cluster.binary(kubeletName),
			"--config=" + n.config("kubelet.yaml"),
			"--kubeconfig=" + n.cluster.config(n.own(kubeletName)+".kubeconfig"),
			"--hostname-override=" + n.name(),
			"--node-ip=" + n.ip(),
		},
		ready:   "http://127.0.0.1:10248/healthz",
		timeout: 60 * time.Second,
	}
}

func (n node) proxy() component {
	return component{
		name: n.own(proxyName),
		node: n,
		argv: []string{
			n.cluster.binary(proxyName),
			"--config=" + n.config("kube-proxy.yaml"),
		},
		ready:   "http://127.0.0.1:10256/healthz",
		timeout: 60 * time.Second,
	}
}

// path is where components look for the programs they call.
func (c *Cluster) path() []string {
	return slices.Concat(
		[]string{c.BinDir},
		filepath.SplitList(os.Getenv("PATH")),
		// A user's own path often lacks these.
		[]string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"},
	)
}

// environment returns the environment of a component. It inherits nothing else from the caller.
func (c *Cluster) environment() []string {
	return []string{
		"PATH=" + strings.Join(c.path(), string(filepath.ListSeparator)),
		"HOME=/root",
		"LANG=C.UTF-8",
	}
}

// ComponentNames returns the components that have a log, in the order in which they start.
func (c *Cluster) ComponentNames() []string {
	var names []string
	for _, n := range c.nodes() {
		names = append(names, n.own(holderName))
	}
	for _, component := range c.components() {
		names = append(names, component.name)
	}
	return append(names, apiForwarder)
}

// CheckComponent returns an error that lists the components when there is none of that name.
func (c *Cluster) CheckComponent(name string) error {
	names := c.ComponentNames()
	if slices.Contains(names, name) {
		return nil
	}
	return fmt.Errorf("no component %q; there are %s", name, strings.Join(names, ", "))
}
