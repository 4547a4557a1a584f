package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/process"
)

// ForwardCommand is the hidden command that carries connections.
const ForwardCommand = "forward-worker"

// Forward is one listener on the machine that leads into the cluster.
type Forward struct {
	Listen string `json:"listen"`
	To     string `json:"to"`
}

// StartForward listens on the machine and starts a process that forwards the connections and outlives this one. It
// replaces a forward of the same address. It returns an error when the cluster does not run, the target cannot be
// valid, or the address is in use.
func (c *Cluster) StartForward(ctx context.Context, want Forward) (Forward, error) {
	if err := c.CheckRunning(); err != nil {
		return Forward{}, err
	}
	if err := c.endForward(ctx, want.Listen); err != nil {
		return Forward{}, err
	}
	return c.startForward(ctx, want, "")
}

// startForward starts the process under the given name, or under one that is derived from its address.
func (c *Cluster) startForward(ctx context.Context, want Forward, name string) (Forward, error) {
	listener, err := Listen(ctx, want.Listen)
	if err != nil {
		return Forward{}, err
	}
	defer func() { _ = listener.Close() }()
	got := Forward{Listen: listener.Addr().String(), To: want.To}
	remembered := name == ""
	if remembered {
		name = forwardName(got.Listen)
		data, err := json.Marshal(got)
		if err != nil {
			return Forward{}, err
		}
		if err := writeFile(c.forwardFile(got.Listen), data); err != nil {
			return Forward{}, err
		}
	}
	_, err = c.launchForwarder(ctx, name, listener, got.To)
	if err != nil && remembered {
		err = errors.Join(err, os.Remove(c.forwardFile(got.Listen)))
	}
	return got, err
}

// launchForwarder starts the process that serves the listener.
func (c *Cluster) launchForwarder(ctx context.Context, name string, listener *net.TCPListener,
	to string) (*process.Running, error) {
	file, err := listener.File()
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return c.launch(ctx, name, process.Spec{
		Argv:   []string{c.Self, ForwardCommand, "--to", to},
		Files:  []*os.File{file},
		Within: c.firstNode().inside,
	})
}

// Listen listens on an address of the machine. It returns an error that names the flag to change when it cannot.
func Listen(ctx context.Context, address string) (*net.TCPListener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf(
			"--listen %q: %w; expected a free IP:PORT of this machine, such as 127.0.0.1:0 for any free port", address, err)
	}
	tcp, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("--listen %q: expected a TCP address", address), listener.Close())
	}
	return tcp, nil
}

// endForward ends the remembered forward that listens at an address.
func (c *Cluster) endForward(ctx context.Context, listen string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	name := forwardName(listen)
	if err := c.records().Read(name).Kill(ctx); err != nil {
		return err
	}
	if err := c.records().Forget(name); err != nil {
		return err
	}
	if err := os.Remove(c.forwardFile(listen)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Forwards returns the recorded forwards.
func (c *Cluster) Forwards() []Forward {
	entries, _ := os.ReadDir(filepath.Join(c.state, "forwards")) // none there: none
	var all []Forward
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(c.state, "forwards", e.Name()))
		if err != nil {
			continue
		}
		var f Forward
		if json.Unmarshal(data, &f) == nil {
			all = append(all, f)
		}
	}
	return all
}

// restoreForwards restarts the recorded forwards that have ended. It drops those that it cannot restart, and returns
// them as problems.
func (c *Cluster) restoreForwards(ctx context.Context) []error {
	var problems []error
	for _, f := range c.Forwards() {
		if c.records().Read(forwardName(f.Listen)).Alive() {
			continue
		}
		if _, err := c.startForward(ctx, f, ""); err != nil {
			problems = append(problems, fmt.Errorf("forward to %s dropped: %w", f.To, err), c.endForward(ctx, f.Listen))
		}
	}
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

// ensureAPIForward makes the API server reachable from the machine, at the
// same address as the last time if that is still free, and writes the
// kubeconfig that says where.
func (c *Cluster) ensureAPIForward(ctx context.Context) error {
	if before := c.records().Read(apiForwarder); before.Alive() {
		if _, err := os.Stat(c.Kubeconfig()); err == nil {
			return nil
		}
		// An `up` that was interrupted started it and wrote no kubeconfig with its address.
		if err := c.endAPIForward(ctx, before); err != nil {
			return err
		}
	}
	// So that a kubeconfig always belongs to the forward that runs.
	if err := os.Remove(c.Kubeconfig()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to := controlIP + ":" + securePort
	at := "127.0.0.1:0"
	if before, err := os.ReadFile(c.apiAddressFile()); err == nil {
		at = string(before)
	}
	got, err := c.startForward(ctx, Forward{Listen: at, To: to}, apiForwarder)
	if err != nil {
		got, err = c.startForward(ctx, Forward{Listen: "127.0.0.1:0", To: to}, apiForwarder)
	}
	if err != nil {
		return err
	}
	if err := writeFile(c.apiAddressFile(), []byte(got.Listen)); err != nil {
		return err
	}
	return c.writeKubeconfig("admin", "https://"+got.Listen)
}

func (c *Cluster) endAPIForward(ctx context.Context, running process.Identity) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := running.Kill(ctx); err != nil {
		return err
	}
	return c.records().Forget(apiForwarder)
}

func (c *Cluster) apiAddressFile() string { return c.config("apiserver.address") }

func (c *Cluster) forwardFile(listen string) string {
	return filepath.Join(c.state, "forwards", fileName(listen)+".json")
}

func forwardName(listen string) string { return forwardPrefix + fileName(listen) }

// fileName makes an address fit for a file.
func fileName(address string) string {
	return strings.NewReplacer("[", "", "]", "", ":", "_", "/", "_").Replace(address)
}
