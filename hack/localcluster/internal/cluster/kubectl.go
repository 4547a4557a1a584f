package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// kubectl runs the cluster's own kubectl as its administrator.
func (c *Cluster) kubectl(ctx context.Context, stdin []byte, args ...string) ([]byte, error) {
	// No cache: it would be left behind.
	args = append([]string{"--kubeconfig", c.Kubeconfig(), "--cache-dir", c.data("kubectl-cache")}, args...)
	return c.command(ctx, stdin, c.binary("kubectl"), args...)
}

// ctr runs containerd's client on the images that the node's kubelet sees.
func (n node) ctr(ctx context.Context, args ...string) ([]byte, error) {
	args = append([]string{"--address", n.containerdSocket(), "--namespace", "k8s.io"}, args...)
	return n.cluster.command(ctx, nil, n.cluster.binary("ctr"), args...)
}

// command runs one command to its end and gives back what it printed.
func (c *Cluster) command(ctx context.Context, stdin []byte, path string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = c.environment()
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.WaitDelay = 5 * time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s %s: %w: %s", path, strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.Bytes(), nil
}
