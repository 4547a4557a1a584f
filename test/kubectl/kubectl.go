// Package kubectl runs kubectl the way a user does: what the demo shows and the fleet tests check
// is what a platform team would see at its own prompt.
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

// Kubectl is one kubectl binary talking to one cluster.
type Kubectl struct {
	// Path of the binary; empty means the one on PATH.
	Path string
	// Kubeconfig file; empty means kubectl's own default.
	Kubeconfig string
	// Namespace for every command; empty means the context's.
	Namespace string
}

// In returns a copy that works in another namespace.
func (k Kubectl) In(namespace string) Kubectl {
	k.Namespace = namespace
	return k
}

// Run returns what kubectl prints on standard output; the error carries what it prints on standard
// error, because that is the message a user sees.
func (k Kubectl) Run(ctx context.Context, args ...string) (string, error) {
	return k.run(ctx, nil, args...)
}

// Apply runs `kubectl apply -f -` on a manifest.
func (k Kubectl) Apply(ctx context.Context, manifest string, args ...string) (string, error) {
	return k.run(ctx, strings.NewReader(manifest), append([]string{"apply", "-f", "-"}, args...)...)
}

// JSON decodes the output of a command that prints JSON (`get -o json`).
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

// ServingPods are the pods of a selector that are ready and not on their way out.
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

// Command prepares a kubectl command for callers that stream its output.
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
	return exec.CommandContext(ctx, path,
		args...) //nolint:gosec // running the kubectl it is given is what this package is for
}

var forwarding = regexp.MustCompile(`Forwarding from (127\.0\.0\.1:\d+) ->`)

// PortForward opens a free port of 127.0.0.1 that leads to a port of target ("pod/x", "service/y").
// It returns the address once kubectl says that it listens; stop ends the forward.
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
