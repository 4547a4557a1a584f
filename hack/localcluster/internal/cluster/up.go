package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/lock"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/progress"
)

// errData says that etcd does not start from its data.
var errData = errors.New("the data of an earlier run cannot be used")

// Options are what the user chooses of a cluster. The zero value of a field is what the cluster has, or the default of
// a new one.
type Options struct {
	// Nodes is the number of nodes, 1 for a new cluster.
	Nodes int
	// ProxyMode is the mode of kube-proxy, ProxyIPTables for a new cluster.
	ProxyMode ProxyMode
}

// Check returns an error that names the flag of an option that no cluster can have.
func (o Options) Check() error { return errors.Join(CheckNodes(o.Nodes), CheckProxyMode(o.ProxyMode)) }

// Up starts the components of the cluster that do not run, and blocks until pods can be scheduled and names can be
// resolved. With another mode than that of a running cluster it starts kube-proxy again, and with more nodes it adds
// them. Up returns an error when the machine lacks something, a component does not become ready, or the cluster has
// more nodes than wanted.
func (c *Cluster) Up(ctx context.Context, wanted Options, report *progress.Reporter) error {
	if err := c.checkMachine(cmp.Or(wanted.ProxyMode, c.proxyMode())); err != nil {
		return err
	}
	if err := process.RaiseFileLimit(); err != nil {
		return err
	}
	release, err := lock.Acquire(ctx, c.lockFile())
	if err != nil {
		return err
	}
	defer release()
	if err := c.checkOwner(); err != nil {
		return err
	}

	if err := c.chooseNodes(ctx, wanted.Nodes, report); err != nil {
		return err
	}
	if err := c.chooseProxyMode(ctx, wanted.ProxyMode, report); err != nil {
		return err
	}
	if s := c.Status(ctx); s.State == StateRunning {
		report.Say("cluster %s is already running", c.Name)
		return nil
	}
	err = c.up(ctx, report)
	if errors.Is(err, errData) {
		// Nothing is synced to disk, so a power cut may leave the data unusable.
		aside, asideErr := c.startOver(ctx)
		if asideErr != nil {
			return errors.Join(err, asideErr)
		}
		report.Say("%s: starting from an empty cluster; what etcd had is kept in %s", firstLine(err.Error()), aside)
		err = c.up(ctx, report)
	}
	return err
}

func (c *Cluster) up(ctx context.Context, report *progress.Reporter) error {
	if err := report.Step("certificates and configuration", func() error {
		for _, dir := range []string{c.config("cni"), c.data("etcd")} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				return err
			}
		}
		if err := c.ensurePKI(); err != nil {
			return err
		}
		return c.writeConfiguration()
	}); err != nil {
		return err
	}
	if err := report.Step("namespaces and cgroups", func() error {
		return c.ensureNamespaces(ctx)
	}); err != nil {
		return err
	}
	hadData := c.hasData()
	for _, comp := range c.componentsOfFirst() {
		if err := report.Step(comp.name, func() error { return c.start(ctx, comp) }); err != nil {
			// One that is only slow, or cannot be started, says nothing about its data.
			if comp.name == "etcd" && hadData && errors.Is(err, errEnded) && ctx.Err() == nil {
				return fmt.Errorf("%w: %w", errData, err)
			}
			return err
		}
		if err := c.after(ctx, comp.name, report); err != nil {
			return err
		}
	}
	if err := report.Step("node Ready", func() error { return c.awaitFirstNode(ctx) }); err != nil {
		return err
	}
	if err := c.upFurtherNodes(ctx, report); err != nil {
		return err
	}
	if err := report.Step("CoreDNS Available", func() error { return c.awaitDNS(ctx) }); err != nil {
		return err
	}
	for _, problem := range c.restoreForwards(ctx) {
		report.Say("%v", problem)
	}
	report.Say("cluster %s is up; export KUBECONFIG=%s", c.Name, c.Kubeconfig())
	return nil
}

// after runs the steps that follow the readiness of a component.
func (c *Cluster) after(ctx context.Context, name string, report *progress.Reporter) error {
	switch name {
	case containerdName:
		return report.Step("images of pause and coredns", func() error { return c.firstNode().ensureImages(ctx) })
	case "kube-apiserver":
		return report.Step("forward to the API server", func() error {
			if err := c.ensureAPIForward(ctx); err != nil {
				return err
			}
			return c.applyDNS(ctx)
		})
	}
	return nil
}

func (c *Cluster) applyDNS(ctx context.Context) error {
	manifest, err := os.ReadFile(c.config("coredns.yaml"))
	if err != nil {
		return err
	}
	_, err = c.kubectl(ctx, manifest, "apply", "--server-side", "--force-conflicts", "--field-manager=localcluster", "-f",
		"-")
	return err
}

const (
	nodeTimeout = "--timeout=90s"
	dnsTimeout  = "--timeout=120s"
)

func (c *Cluster) awaitFirstNode(ctx context.Context) error {
	if err := c.firstNode().awaitReady(ctx); err != nil {
		return err
	}
	// No pod without the account, which the controller manager makes.
	_, err := c.kubectl(ctx, nil, "wait", nodeTimeout, "--for=create", "serviceaccount/default", "--namespace=default")
	return err
}

// upFurtherNodes starts what of the other nodes does not run. The first has CoreDNS by then, or starts it.
func (c *Cluster) upFurtherNodes(ctx context.Context, report *progress.Reporter) error {
	further := c.nodes()[1:]
	if len(further) == 0 {
		return nil
	}
	for _, n := range further {
		if err := n.up(ctx, report); err != nil {
			return err
		}
	}
	return c.labelControlPlane(ctx)
}

func (c *Cluster) awaitDNS(ctx context.Context) error {
	_, err := c.kubectl(ctx, nil, "wait", dnsTimeout, "--for=condition=Available", "deployment/coredns",
		"--namespace=kube-system")
	if err == nil {
		err = c.awaitAnswer(ctx)
	}
	if err == nil {
		return nil
	}
	// The reason that the pod waits for is more useful than a timeout.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	events, _ := c.kubectl(ctx, nil, "get", "events", "--namespace=kube-system", "--sort-by=.lastTimestamp")
	return fmt.Errorf("%w; what happened in kube-system:\n%s", err, events)
}

// awaitAnswer queries CoreDNS through its Service until it answers. After an unclean stop the API server reports the
// old state for a while.
func (c *Cluster) awaitAnswer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	again := time.NewTicker(pollInterval)
	defer again.Stop()
	for {
		err := c.askDNS(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

// hasData reports whether etcd has written data before.
func (c *Cluster) hasData() bool {
	_, err := os.Stat(c.data("etcd/member"))
	return err == nil
}
