package cluster

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"text/template"

	"golang.org/x/sys/unix"
)

//go:embed templates
var templates embed.FS

// The images of the cluster's own pods. They are never pulled.
const (
	pauseImage = "localhost/pause:local"
	dnsImage   = "localhost/coredns:local"
)

// configuration holds the values for the templates.
type configuration struct {
	NodeName, NodeIP                        string
	PodNetwork, NodePodNetwork              string
	DNSIP, DNSDomain, DNSImage, PauseImage  string
	BinDir, PKI, CNIDir                     string
	ContainerdRoot, ContainerdSocket        string
	CgroupRoot, ResolvConf, ProxyKubeconfig string
	Snapshotter                             string
	ProxyMode                               ProxyMode
	// KubeletCert is the name of the files with the kubelet's certificate and key.
	KubeletCert string
	// QuickStatus lets the kubelet report every second.
	QuickStatus bool
}

// configuration returns the values for a node whose pods have addresses in podAddresses.
func (n node) configuration(podAddresses string) configuration {
	c := n.cluster
	return configuration{
		NodeName:         n.name(),
		NodeIP:           n.ip(),
		PodNetwork:       podNetwork,
		NodePodNetwork:   podAddresses,
		DNSIP:            dnsIP,
		DNSDomain:        dnsDomain,
		DNSImage:         dnsImage,
		PauseImage:       pauseImage,
		BinDir:           c.BinDir,
		PKI:              c.pki(""),
		CNIDir:           n.config("cni"),
		ContainerdRoot:   n.data("containerd"),
		ContainerdSocket: innerContainerdSocket,
		CgroupRoot:       n.cgroupRoot(),
		ResolvConf:       c.config("resolv.conf"),
		ProxyKubeconfig:  c.config("kube-proxy.kubeconfig"),
		Snapshotter:      snapshotterFor(c.state),
		ProxyMode:        c.proxyMode(),
		KubeletCert:      n.own("kubelet-server"),
		QuickStatus:      c.noticesDeadNodes(),
	}
}

// snapshotterFor chooses how image layers are stacked: with overlayfs, unless
// the state itself is on one, as it is inside a container.
func snapshotterFor(dir string) string {
	var at unix.Statfs_t
	if unix.Statfs(dir, &at) == nil && at.Type == unix.OVERLAYFS_SUPER_MAGIC {
		return "native"
	}
	return "overlayfs"
}

// render fills in one of the templates.
func (cfg configuration) render(name string) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").ParseFS(templates, "templates/"+name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, cfg); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// writeConfiguration writes the files that components are started with.
func (c *Cluster) writeConfiguration() error {
	first := c.firstNode().configuration(firstPodNetwork)
	files := map[string]string{"coredns.yaml": c.config("coredns.yaml"), cniTemplate: c.firstNode().cniFile()}
	if err := first.write(files); err != nil {
		return err
	}
	// Pods that use the node's resolver find none, because the cluster has no route to the outside.
	if err := writeFile(c.config("resolv.conf"), nil); err != nil {
		return err
	}
	users := []string{"kube-controller-manager", "kube-scheduler", "kube-proxy"}
	for _, n := range c.nodes() {
		if err := n.writeConfiguration(); err != nil {
			return fmt.Errorf("node %s: %w", n.name(), err)
		}
		users = append(users, n.own("kubelet"))
	}
	for _, user := range users {
		if err := c.writeKubeconfig(user, "https://"+controlIP+":"+securePort); err != nil {
			return err
		}
	}
	return nil
}

// cniTemplate is the configuration of the pods' network.
const cniTemplate = "cni.conflist"

func (n node) cniFile() string { return n.config("cni/pods.conflist") }

// writeConfiguration writes the files of the node's components. The network of its pods is not among them: a node has
// it only when it is registered.
func (n node) writeConfiguration() error {
	files := map[string]string{}
	for _, name := range []string{"containerd.toml", "kubelet.yaml", "kube-proxy.yaml"} {
		files[name] = n.config(name)
	}
	return n.configuration("").write(files)
}

// write renders templates, by their names, to files.
func (cfg configuration) write(files map[string]string) error {
	for name, path := range files {
		data, err := cfg.render(name)
		if err != nil {
			return fmt.Errorf("render %s: %w", name, err)
		}
		if err := writeFile(path, data); err != nil {
			return err
		}
	}
	return nil
}

// writeKubeconfig writes USER.kubeconfig for the holder of USER's certificate.
func (c *Cluster) writeKubeconfig(user, server string) error {
	var parts [3][]byte
	for i, name := range []string{authority + ".crt", user + ".crt", user + ".key"} {
		data, err := os.ReadFile(c.pki(name))
		if err != nil {
			return err
		}
		parts[i] = data
	}
	rendered, err := kubeconfig("wsfleet-"+c.Name, server, parts[0], parts[1], parts[2])
	if err != nil {
		return err
	}
	return writeFile(c.config(user+".kubeconfig"), rendered)
}
