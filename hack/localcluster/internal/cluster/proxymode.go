package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

// ProxyMode is the way in which kube-proxy sends the connections to a Service to pods.
type ProxyMode string

// The modes of kube-proxy.
const (
	ProxyIPTables ProxyMode = "iptables"
	ProxyNFTables ProxyMode = "nftables"
)

// proxyModeName is the name of the file below the cluster's state that holds the mode.
const proxyModeName = "proxy-mode"

// ProxyModes returns all modes. The first is that of a new cluster for which none is chosen.
func ProxyModes() []ProxyMode { return []ProxyMode{ProxyIPTables, ProxyNFTables} }

// CheckProxyMode returns an error that names the modes when mode is none of them. The empty mode is that which the
// cluster has.
func CheckProxyMode(mode ProxyMode) error {
	if mode == "" || slices.Contains(ProxyModes(), mode) {
		return nil
	}
	return fmt.Errorf("--proxy-mode %q: expected %s or %s", mode, ProxyIPTables, ProxyNFTables)
}

// programs returns what the mode needs besides what every cluster needs.
func (m ProxyMode) programs() []string {
	if m == ProxyNFTables {
		return []string{"nft"}
	}
	return nil
}

// proxyModeFile holds the mode of the cluster. It does not exist while none was chosen.
func (c *Cluster) proxyModeFile() string { return filepath.Join(c.state, proxyModeName) }

// proxyMode returns the mode of the cluster.
func (c *Cluster) proxyMode() ProxyMode {
	data, err := os.ReadFile(c.proxyModeFile())
	if mode := ProxyMode(strings.TrimSpace(string(data))); err == nil && slices.Contains(ProxyModes(), mode) {
		return mode
	}
	return ProxyModes()[0]
}

// chooseProxyMode sets the mode of the cluster, and ends a kube-proxy that runs in another one. The next kube-proxy
// removes the rules of the old mode when it starts. It returns an error when kube-proxy does not end or the file cannot
// be written.
func (c *Cluster) chooseProxyMode(ctx context.Context, mode ProxyMode, report *progress.Reporter) error {
	if mode == "" || mode == c.proxyMode() {
		return nil
	}
	for _, n := range c.nodes() {
		if err := c.endRunning(ctx, n.own(proxyName), "because its mode changes to "+string(mode), report); err != nil {
			return err
		}
	}
	return writeFile(c.proxyModeFile(), []byte(mode+"\n"))
}
