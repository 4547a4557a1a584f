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
}

func (c *Cluster) configuration() configuration {
	return configuration{
		NodeName:         c.Name,
		NodeIP:           nodeIP,
		PodNetwork:       podNetwork,
		NodePodNetwork:   nodePodNetwork,
		DNSIP:            dnsIP,
		DNSDomain:        dnsDomain,
		DNSImage:         dnsImage,
		PauseImage:       pauseImage,
		BinDir:           c.BinDir,
		PKI:              c.pki(""),
		CNIDir:           c.config("cni"),
		ContainerdRoot:   c.data("containerd"),
		ContainerdSocket: innerContainerdSocket,
		CgroupRoot:       "/wsfleet-" + c.Name,
		ResolvConf:       c.config("resolv.conf"),
		ProxyKubeconfig:  c.config("kube-proxy.kubeconfig"),
		Snapshotter:      snapshotterFor(c.state),
		ProxyMode:        c.proxyMode(),
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
	cfg := c.configuration()
	for name, path := range map[string]string{
		"containerd.toml": c.config("containerd.toml"),
		"cni.conflist":    c.config("cni/pods.conflist"),
		"kubelet.yaml":    c.config("kubelet.yaml"),
		"kube-proxy.yaml": c.config("kube-proxy.yaml"),
		"coredns.yaml":    c.config("coredns.yaml"),
	} {
		data, err := cfg.render(name)
		if err != nil {
			return fmt.Errorf("render %s: %w", name, err)
		}
		if err := writeFile(path, data); err != nil {
			return err
		}
	}
	// Pods that use the node's resolver find none, because the cluster has no route to the outside.
	if err := writeFile(c.config("resolv.conf"), nil); err != nil {
		return err
	}
	for _, user := range []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"} {
		if err := c.writeKubeconfig(user, "https://"+nodeIP+":"+securePort); err != nil {
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
