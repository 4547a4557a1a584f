package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wsfleet/wsfleet/test/kubectl"
)

// provider is a source of clusters. The rest of the demo works the same on all of them.
type provider interface {
	// up starts the cluster unless it runs already.
	up(ctx context.Context) error
	// find finds a running cluster.
	find(ctx context.Context) error
	down(ctx context.Context) error
	// kubectl returns a kubectl for the cluster that up or find found.
	kubectl() kubectl.Kubectl
	// load loads image archives into every node.
	load(ctx context.Context, archives []string) error
	// images returns the images that the user names; nil to build them here.
	images() map[string]string
	// forward forwards a local address to a Service, also after this process has exited.
	forward(ctx context.Context, listen, namespace, service string) (address string, err error)
}

func newProvider(o options) (provider, error) {
	if o.proxyMode != "" && o.cluster != "local" {
		return nil, fmt.Errorf("--proxy-mode %q: only the local cluster takes a mode; "+
			"for kind, set kubeProxyMode in hack/kind.yaml", o.proxyMode)
	}
	if o.nodes != 0 && o.cluster != "local" {
		return nil, fmt.Errorf("--nodes %d: only the local cluster takes a number; "+
			"for kind, list the nodes in hack/kind.yaml", o.nodes)
	}
	switch o.cluster {
	case "local":
		return &local{name: o.name, proxyMode: o.proxyMode, nodes: o.nodes}, nil
	case "kind":
		return &kindCluster{name: o.name}, nil
	case "current":
		return &current{}, nil
	}
	return nil, fmt.Errorf("--cluster %q: must be local, kind or current", o.cluster)
}

// local is the cluster of hack/localcluster.
type local struct {
	name      string
	proxyMode string
	nodes     int
	// kubeconfig is set by up and find.
	kubeconfig string
}

const localcluster = "bin/localcluster"

func (l *local) build(ctx context.Context) error {
	if _, err := run(ctx, "go", "-C", "hack/localcluster", "build", "-o", "../../"+localcluster, "."); err != nil {
		return err
	}
	return nil
}

func (l *local) up(ctx context.Context) error {
	// The machine is checked first, because the binaries take minutes to build.
	if os.Geteuid() != 0 {
		return errors.New(
			`the local cluster needs root for namespaces, mounts and cgroups: sudo env PATH="$PATH" make demo (or make e2e)`)
	}
	if err := l.build(ctx); err != nil {
		return err
	}
	if err := stream(ctx, localcluster, "binaries"); err != nil {
		return err
	}
	err := stream(ctx, localcluster, "up", "--name", l.name, "--proxy-mode", l.proxyMode, "--nodes", strconv.Itoa(l.nodes))
	if err != nil {
		return err
	}
	return l.find(ctx)
}

func (l *local) down(ctx context.Context) error {
	if err := l.build(ctx); err != nil {
		return err
	}
	return stream(ctx, localcluster, "down", "--name", l.name)
}

func (l *local) kubectl() kubectl.Kubectl {
	return kubectl.Kubectl{Path: "bin/k8s/kubectl", Kubeconfig: l.kubeconfig}
}

func (l *local) find(ctx context.Context) error {
	path, err := run(ctx, localcluster, "kubeconfig", "--path", "--name", l.name)
	l.kubeconfig = strings.TrimSpace(path)
	return err
}

func (l *local) load(ctx context.Context, archives []string) error {
	_, err := run(ctx, localcluster, append([]string{"load-image", "--name", l.name}, archives...)...)
	return err
}

func (l *local) images() map[string]string { return nil }

func (l *local) forward(ctx context.Context, listen, namespace, service string) (string, error) {
	ip, err := l.kubectl().In(namespace).Run(ctx, "get", "service", service, "-o",
		"jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	if err != nil {
		return "", err
	}
	// A forward of this cluster on that address is replaced. When another program uses the address, any port will do.
	out, err := run(ctx, localcluster, "forward", "--name", l.name, "--background", "--listen", listen, "--to", ip)
	if err != nil {
		host, _, _ := net.SplitHostPort(listen)
		out, err = run(ctx, localcluster, "forward", "--name", l.name, "--background", "--listen",
			net.JoinHostPort(host, "0"), "--to", ip)
	}
	return strings.TrimSpace(out), err
}

// kindCluster is a cluster of kind, where Docker runs.
type kindCluster struct{ name string }

func (k *kindCluster) kubeconfig() string { return filepath.Join("dist", k.name+".kubeconfig") }

func (k *kindCluster) up(ctx context.Context) error {
	for _, program := range []string{"kind", "docker", "kubectl"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed: install it, or use --cluster local", program)
		}
	}
	if err := os.MkdirAll("dist", 0o755); err != nil {
		return err
	}
	clusters, err := run(ctx, "kind", "get", "clusters")
	if err != nil {
		return err
	}
	if slices.Contains(strings.Fields(clusters), k.name) {
		return stream(ctx, "kind", "export", "kubeconfig", "--name", k.name, "--kubeconfig", k.kubeconfig())
	}
	return stream(ctx, "kind", "create", "cluster", "--name", k.name, "--config", "hack/kind.yaml", "--kubeconfig",
		k.kubeconfig(), "--wait", "180s")
}

func (k *kindCluster) down(ctx context.Context) error {
	return errors.Join(stopForward(k.name),
		stream(ctx, "kind", "delete", "cluster", "--name", k.name, "--kubeconfig", k.kubeconfig()))
}

func (k *kindCluster) find(context.Context) error { return nil }

func (k *kindCluster) kubectl() kubectl.Kubectl { return kubectl.Kubectl{Kubeconfig: k.kubeconfig()} }

func (k *kindCluster) load(ctx context.Context, archives []string) error {
	for _, archive := range archives {
		if _, err := run(ctx, "kind", "load", "image-archive", archive, "--name", k.name); err != nil {
			return err
		}
	}
	return nil
}

func (k *kindCluster) images() map[string]string { return nil }

func (k *kindCluster) forward(ctx context.Context, listen, namespace, service string) (string, error) {
	return startForward(ctx, k.name, k.kubectl(), listen, namespace, service)
}

// current is the cluster of the current kubeconfig context. Its nodes pull the images.
type current struct{}

var imageVariables = map[string]string{
	operatorImage: "OPERATOR_IMAGE", gatewayImage: "GATEWAY_IMAGE", redisImage: "REDIS_IMAGE", clientImage: "CLIENT_IMAGE",
}

func (c *current) up(ctx context.Context) error {
	for _, image := range []string{operatorImage, gatewayImage} {
		if os.Getenv(imageVariables[image]) == "" {
			return fmt.Errorf("--cluster current: set OPERATOR_IMAGE and GATEWAY_IMAGE to images that the cluster can pull "+
				"(make docker builds them); %s is not set", imageVariables[image])
		}
	}
	if _, err := c.kubectl().Run(ctx, "version"); err != nil {
		return fmt.Errorf("the current kubeconfig context does not answer: %w", err)
	}
	there, ours, err := c.installed(ctx)
	if err != nil {
		return err
	}
	if there && !ours {
		return fmt.Errorf("wsfleet is installed on this cluster already, and not by the demo: its %s has no label %s=%s; "+
			"use another cluster, or make uninstall first", crd, demoLabel, demoValue)
	}
	return nil
}

// installed reports whether the cluster has wsfleet's CRD, and whether the demo has installed it.
func (c *current) installed(ctx context.Context) (there, ours bool, err error) {
	path := "jsonpath={.metadata.name} {.metadata.labels." + strings.ReplaceAll(demoLabel, ".", `\.`) + "}"
	out, err := c.kubectl().Run(ctx, "get", crd, "--ignore-not-found", "-o", path)
	if err != nil {
		return false, false, err
	}
	fields := strings.Fields(out)
	return len(fields) > 0, len(fields) == 2 && fields[1] == demoValue, nil
}

// down removes what the demo has installed. It keeps a foreign installation, which has the same names: deleting its
// CRD would delete every WebSocketCluster.
func (c *current) down(ctx context.Context) error {
	_, ours, err := c.installed(ctx)
	if err != nil {
		return errors.Join(stopForward("current"), err)
	}
	if !ours {
		fmt.Printf("nothing is removed: this cluster has no %s with the label %s=%s\n", crd, demoLabel, demoValue)
		return stopForward("current")
	}
	_, demo := c.kubectl().Run(ctx, "delete", "namespace", demoNamespace, "--ignore-not-found")
	_, operator := c.kubectl().Run(ctx, "delete", "--ignore-not-found", "-k", "config/default")
	return errors.Join(stopForward("current"), demo, operator)
}

func (c *current) find(context.Context) error { return nil }

func (c *current) kubectl() kubectl.Kubectl {
	return kubectl.Kubectl{Kubeconfig: os.Getenv("KUBECONFIG")}
}

func (c *current) load(context.Context, []string) error { return nil }

func (c *current) images() map[string]string {
	named := map[string]string{}
	for image, variable := range imageVariables {
		named[image] = os.Getenv(variable)
	}
	return named
}

func (c *current) forward(ctx context.Context, listen, namespace, service string) (string, error) {
	return startForward(ctx, "current", c.kubectl(), listen, namespace, service)
}
