package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// pollInterval is the time between two readiness probes of a component.
const pollInterval = 50 * time.Millisecond

// errEnded says that a component ended by itself before it was ready.
var errEnded = errors.New("has ended")

// awaitReady probes the component until it is ready. It returns errEnded with the end of the log when the process ends
// before, and an error after the component's timeout.
func (c *Cluster) awaitReady(ctx context.Context, comp component, ended <-chan struct{}) error {
	ctx, cancel := context.WithTimeout(ctx, comp.timeout)
	defer cancel()
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		err := c.ready(ctx, comp)
		if err == nil {
			return nil
		}
		select {
		case <-ended:
			return fmt.Errorf("%s %w\nthe end of %s:\n%s", comp.name, errEnded, c.LogFile(comp.name), c.logTail(comp.name))
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s: %w\nthe end of %s:\n%s",
				comp.name, comp.timeout, err, c.LogFile(comp.name), c.logTail(comp.name))
		case <-again.C:
		}
	}
}

// ready probes once.
func (c *Cluster) ready(ctx context.Context, comp component) error {
	if path, ok := strings.CutPrefix(comp.ready, "unix:"); ok {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, comp.ready, nil)
	if err != nil {
		return err
	}
	client := insideClient(comp.node.netns())
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s: %s: %s", comp.ready, response.Status, bytes.TrimSpace(said))
	}
	return nil
}

// insideClient returns an HTTP client for servers inside a network namespace.
func insideClient(netns string) *http.Client {
	return &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
				return sandbox.Dial(ctx, netns, address)
			},
			// Only the cluster's processes are in that network, some of them make their certificates at start, and the probe
			// carries no secret.
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
			DisableKeepAlives: true,
		},
	}
}

// askDNS looks up a name that every cluster has.
func (c *Cluster) askDNS(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	resolver := &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return sandbox.Dial(ctx, c.Netns(), DNSAddress)
		},
	}
	_, err := resolver.LookupHost(ctx, "kubernetes.default.svc."+dnsDomain+".")
	return err
}

const tailBytes = 3000

// logTail returns the end of a component's log.
func (c *Cluster) logTail(name string) string {
	f, err := os.Open(c.LogFile(name))
	if err != nil {
		return err.Error()
	}
	defer func() { _ = f.Close() }()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		_, _ = f.Seek(max(0, size-tailBytes), io.SeekStart)
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(data))
}

// start starts a component inside the cluster, unless it is there already, and
// waits until it is ready.
func (c *Cluster) start(ctx context.Context, comp component) error {
	ended := make(<-chan struct{})
	if !c.records().Read(comp.name).Alive() {
		groups, err := comp.node.cgroups()
		if err != nil {
			return err
		}
		running, err := c.launchIn(ctx, groups, comp.name, process.Spec{
			Argv:   comp.argv,
			Within: comp.node.inside,
		})
		if err != nil {
			return err
		}
		ended = running.Ended
	}
	return c.awaitReady(ctx, comp, ended)
}

// inside runs f in the namespaces of the node's components.
func (n node) inside(f func() error) error {
	holder := n.cluster.records().Read(n.own(holderName))
	if !holder.Alive() {
		return fmt.Errorf("the mount namespace of node %s is gone; run `localcluster up` again", n.name())
	}
	return sandbox.Within(n.netns(), holder.PID, f)
}

// launch starts a process in the cluster's cgroup and records its identity.
func (c *Cluster) launch(ctx context.Context, name string, spec process.Spec) (*process.Running, error) {
	groups, err := c.cgroups()
	if err != nil {
		return nil, err
	}
	return c.launchIn(ctx, groups, name, spec)
}

// launchIn is launch for a process in another cgroup.
func (c *Cluster) launchIn(ctx context.Context, groups sandbox.Cgroups, name string,
	spec process.Spec) (*process.Running, error) {
	spec.Name = name
	spec.Log = c.LogFile(name)
	spec.Env = c.environment()
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return nil, err
	}
	running, err := process.Start(spec)
	if err != nil {
		return nil, err
	}
	if err := groups.Adopt(running.PID); err != nil {
		return nil, errors.Join(fmt.Errorf("put %s into its cgroup: %w", name, err), running.Kill(context.WithoutCancel(ctx)))
	}
	if err := c.records().Write(name, running.Identity); err != nil {
		return nil, errors.Join(fmt.Errorf("write down the process of %s: %w", name, err),
			running.Kill(context.WithoutCancel(ctx)))
	}
	return running, nil
}
