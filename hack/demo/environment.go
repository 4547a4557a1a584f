package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/wsfleet/wsfleet/test/kubectl"
)

const (
	operatorNamespace    = "wsfleet-system"
	operatorDeployment   = "wsfleet-operator"
	metricsAPIDeployment = "wsfleet-metrics-api"
	crd                  = "crd/websocketclusters.wsfleet.dev"
	// The label of all objects that the demo installs. Objects with it may be removed.
	demoLabel = "wsfleet.dev/stage"
	demoValue = "demo"
)

// environment is a cluster with the operator, ready for a WebSocketCluster.
type environment struct {
	provider provider
	// cluster is the kind of the cluster, as the user names it.
	cluster    string
	progress   *progress
	withClient bool

	// images are full image names by the name without a tag.
	images map[string]string
}

func (s *environment) bringUp(ctx context.Context) error {
	if _, err := os.Stat("go.mod"); err != nil {
		return fmt.Errorf("run this from the top of the repository: %w", err)
	}
	if err := s.progress.step("Kubernetes", func(note) error { return s.provider.up(ctx) }); err != nil {
		return err
	}
	if err := s.progress.step("images", func(say note) error { return s.prepareImages(ctx, say) }); err != nil {
		return err
	}
	return s.progress.step("operator", func(say note) error { return s.install(ctx, say) })
}

func (s *environment) prepareImages(ctx context.Context, say note) error {
	if s.images = s.provider.images(); s.images != nil {
		say("%s", strings.Join(mapValues(s.images), ", "))
		return nil
	}
	// The local cluster's program makes the archives, also for kind.
	if err := (&local{}).build(ctx); err != nil {
		return err
	}
	list, err := images(s.withClient)
	if err != nil {
		return err
	}
	s.images = map[string]string{}
	var archives []string
	for _, i := range list {
		name, archive, err := i.make(ctx)
		if err != nil {
			return err
		}
		s.images[i.name] = name
		archives = append(archives, archive)
	}
	say("%s", strings.Join(mapValues(s.images), ", "))
	return s.provider.load(ctx, archives)
}

// install applies config/default with the environment's images and waits for the operator.
func (s *environment) install(ctx context.Context, say note) error {
	overlay := filepath.Join("dist", "overlay")
	if err := os.MkdirAll(overlay, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(overlay, "kustomization.yaml"), []byte(s.kustomization()), 0o600); err != nil {
		return err
	}
	k := s.provider.kubectl()
	if _, err := k.Run(ctx, "apply", "--server-side", "--force-conflicts", "-k", overlay); err != nil {
		return err
	}
	if _, err := k.Run(ctx, "wait", "--for=condition=Established", "--timeout=60s", crd); err != nil {
		return err
	}
	for _, deployment := range []string{operatorDeployment, metricsAPIDeployment} {
		out, err := k.In(operatorNamespace).Run(ctx, "rollout", "status", "deployment/"+deployment, "--timeout=180s")
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSpace(out), "\n")
		say("%s", lines[len(lines)-1])
	}
	return nil
}

func (s *environment) kustomization() string {
	arguments := []string{"--gateway-image=" + s.images[gatewayImage]}
	if redis := s.images[redisImage]; redis != "" {
		arguments = append(arguments, "--redis-image="+redis)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "labels:\n- pairs: {%s: %s}\n", demoLabel, demoValue)
	b.WriteString("resources: [../../config/default]\npatches:\n")
	fmt.Fprintf(&b, "- target: {kind: Deployment, name: %s}\n  patch: |\n", operatorDeployment)
	fmt.Fprintf(&b, "    - {op: replace, path: /spec/template/spec/containers/0/image, value: %q}\n",
		s.images[operatorImage])
	for _, a := range arguments {
		fmt.Fprintf(&b, "    - {op: add, path: /spec/template/spec/containers/0/args/-, value: %q}\n", a)
	}
	fmt.Fprintf(&b, "- target: {kind: Deployment, name: %s}\n  patch: |\n", metricsAPIDeployment)
	fmt.Fprintf(&b, "    - {op: replace, path: /spec/template/spec/containers/0/image, value: %q}\n",
		s.images[operatorImage])
	return b.String()
}

// writeEnv writes the environment variables for test/e2e to a file.
func (s *environment) writeEnv(path string) error {
	if path == "" {
		return nil
	}
	k := s.provider.kubectl()
	kubectlPath, err := absolute(k)
	if err != nil {
		return err
	}
	variables := [][2]string{
		{"KUBECTL", kubectlPath}, {"KUBECONFIG", k.Kubeconfig},
		{"OPERATOR_IMAGE", s.images[operatorImage]}, {"GATEWAY_IMAGE", s.images[gatewayImage]},
		{"CLIENT_IMAGE", s.images[clientImage]},
	}
	var b strings.Builder
	for _, v := range variables {
		if v[1] != "" {
			fmt.Fprintf(&b, "%s='%s'\n", v[0], v[1])
		}
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

func absolute(k kubectl.Kubectl) (string, error) {
	if k.Path == "" {
		return exec.LookPath("kubectl")
	}
	return filepath.Abs(k.Path)
}

func mapValues(m map[string]string) []string {
	var values []string
	for _, name := range []string{operatorImage, gatewayImage, redisImage, clientImage} {
		if m[name] != "" {
			values = append(values, m[name])
		}
	}
	return values
}

// diagnose prints the state of the cluster, which helps to find out why an object did not become ready.
func diagnose(ctx context.Context, p provider) error {
	if err := p.find(ctx); err != nil {
		return err
	}
	k := p.kubectl()
	for _, args := range [][]string{
		{"get", "nodes", "-o", "wide"},
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "websocketclusters", "-A", "-o", "wide"},
		{"get", "websocketclusters", "-A", "-o", "yaml"},
		{"get", "events", "-A", "--sort-by=.lastTimestamp"},
		{"-n", operatorNamespace, "logs", "deployment/" + operatorDeployment, "--tail=100"},
		{"-n", operatorNamespace, "logs", "deployment/" + metricsAPIDeployment, "--all-pods", "--tail=50"},
		{"get", "apiservices", "-o", "wide"},
		{"describe", "horizontalpodautoscalers", "-A"},
	} {
		fmt.Printf("\n--- kubectl %s\n", strings.Join(args, " "))
		out, err := k.Run(ctx, args...)
		fmt.Print(out)
		if err != nil {
			fmt.Println(err)
		}
	}
	return nil
}
