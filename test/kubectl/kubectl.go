// Package kubectl runs kubectl for hack/demo and test/e2e, so that they show and check what a user sees at the prompt.
package kubectl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strings"
)

// Kubectl is a kubectl binary and the cluster that it talks to.
type Kubectl struct {
	// Path is the path of the binary; empty for the one on PATH.
	Path string
	// Kubeconfig is the path of the kubeconfig file; empty for kubectl's default.
	Kubeconfig string
	// Namespace is the namespace of every command; empty for that of the kubeconfig's context.
	Namespace string
}

// In returns a copy with another namespace.
func (k Kubectl) In(namespace string) Kubectl {
	k.Namespace = namespace
	return k
}

// Run returns what kubectl prints on standard output. It returns an error that contains kubectl's standard error when
// the command fails.
func (k Kubectl) Run(ctx context.Context, args ...string) (string, error) {
	return k.run(ctx, nil, args...)
}

// Apply runs `kubectl apply -f -` on a manifest, and returns like Run. It returns an error when kubectl fails.
func (k Kubectl) Apply(ctx context.Context, manifest string, args ...string) (string, error) {
	return k.run(ctx, strings.NewReader(manifest), append([]string{"apply", "-f", "-"}, args...)...)
}

// Evict evicts a pod of k.Namespace, as `kubectl drain` does. It returns an error when kubectl fails, such as when a
// PodDisruptionBudget does not allow it now.
func (k Kubectl) Evict(ctx context.Context, pod string) error {
	eviction := fmt.Sprintf(`{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"namespace":%q,"name":%q}}`,
		k.Namespace, pod)
	path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/eviction", k.Namespace, pod)
	_, err := k.run(ctx, strings.NewReader(eviction), "create", "--raw", path, "-f", "-")
	return err
}

// JSON runs a command with `-o json` and decodes the output into a value. It returns an error when kubectl fails or
// prints no JSON.
func (k Kubectl) JSON(ctx context.Context, into any, args ...string) error {
	out, err := k.Run(ctx, append(args, "-o", "json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("kubectl %s printed no JSON: %w", strings.Join(args, " "), err)
	}
	return nil
}

// ServingPods returns the names of a selector's pods that are ready and not being deleted. It returns an error when
// kubectl fails.
func (k Kubectl) ServingPods(ctx context.Context, selector string) ([]string, error) {
	type condition struct{ Type, Status string }
	var pods struct {
		Items []struct {
			Metadata struct {
				Name              string
				DeletionTimestamp string
			}
			Status struct {
				Conditions []condition
			}
		}
	}
	if err := k.JSON(ctx, &pods, "get", "pods", "-l", selector); err != nil {
		return nil, err
	}
	var names []string
	for _, p := range pods.Items {
		if p.Metadata.DeletionTimestamp == "" && slices.Contains(p.Status.Conditions, condition{"Ready", "True"}) {
			names = append(names, p.Metadata.Name)
		}
	}
	return names, nil
}

func (k Kubectl) run(ctx context.Context, in io.Reader, args ...string) (string, error) {
	cmd := k.Command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errOut
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err,
			strings.TrimSpace(errOut.String()))
	}
	return out.String(), nil
}

// Command returns a kubectl command that is not started, for callers that stream its output.
func (k Kubectl) Command(ctx context.Context, args ...string) *exec.Cmd {
	path := k.Path
	if path == "" {
		path = "kubectl"
	}
	if k.Namespace != "" {
		args = append([]string{"--namespace", k.Namespace}, args...)
	}
	if k.Kubeconfig != "" {
		args = append([]string{"--kubeconfig", k.Kubeconfig}, args...)
	}
	return exec.CommandContext(ctx, path, args...)
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`)

// PortForward forwards a free port of 127.0.0.1 to a port of target ("pod/x", "service/y"). It returns the address
// when kubectl listens on it, and stop, which ends the forward. It returns an error when kubectl ends before.
func (k Kubectl) PortForward(ctx context.Context, target string, port int) (address string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := k.Command(ctx, "port-forward", "--address", "127.0.0.1", target, fmt.Sprintf(":%d", port))
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return "", nil, fmt.Errorf("port-forward to %s: %w", target, err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := forwarding.FindStringSubmatch(lines.Text()); m != nil {
			done := make(chan struct{})
			go func() {
				defer close(done)
				_, _ = io.Copy(io.Discard, out)
				_ = cmd.Wait()
			}()
			return m[1], func() { cancel(); <-done }, nil
		}
	}
	cancel()
	_ = cmd.Wait()
	return "", nil, fmt.Errorf("port-forward to %s ended: %s", target, strings.TrimSpace(errOut.String()))
}
