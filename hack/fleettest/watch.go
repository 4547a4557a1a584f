package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync"
	"time"

	"github.com/wsfleet/wsfleet/controllers/plan"
)

// status is what `wsfleet fleet status -o json` says that the test needs.
type status struct {
	Ready, Size int
	Conditions  []struct{ Type, Status, Reason, Message string }
	Gateways    []gateway
}

type gateway struct {
	Pod, State  string
	Connections *int
	Drain       *struct{ Reason string }
}

// in returns the gateways in a state.
func (s status) in(state string) (pods []string) {
	for _, g := range s.Gateways {
		if g.State == state {
			pods = append(pods, g.Pod)
		}
	}
	return pods
}

// scalesIn reports that a gateway drains before it is deleted for a scale-in.
func (s status) scalesIn() bool {
	return slices.ContainsFunc(s.Gateways, func(g gateway) bool {
		return g.State == "draining" && g.Drain != nil && g.Drain.Reason == plan.DrainReasonScaleIn
	})
}

// connections returns the number of connections of all gateways that answer.
func (s status) connections() (n int) {
	for _, g := range s.Gateways {
		if g.Connections != nil {
			n += *g.Connections
		}
	}
	return n
}

// look is a status and when it was seen first.
type look struct {
	at time.Time
	status
}

// watch follows the status of the fleet, as a user does with `status --watch`.
type watch struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	looks []look
}

// watchFleet begins to follow the status. It ends with ctx, or by stop.
func watchFleet(ctx context.Context, kubeconfig string) (*watch, error) {
	cmd := exec.CommandContext(ctx, wsfleet, "fleet", "status", fleet, "--watch", "--output", "json",
		"--namespace", namespace, "--kubeconfig", kubeconfig)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	w := &watch{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		for decoder := json.NewDecoder(out); ; {
			var s status
			if err := decoder.Decode(&s); err != nil {
				return
			}
			w.mu.Lock()
			w.looks = append(w.looks, look{time.Now(), s})
			w.mu.Unlock()
		}
	}()
	return w, nil
}

func (w *watch) stop() {
	_ = w.cmd.Process.Signal(os.Interrupt)
	<-w.done
	_ = w.cmd.Wait()
}

// all returns all looks so far.
func (w *watch) all() []look {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.looks[:len(w.looks):len(w.looks)]
}

// last returns the newest status, and an error when the watch has ended.
func (w *watch) last() (status, error) {
	select {
	case <-w.done:
		return status{}, fmt.Errorf("`%s fleet status --watch` has ended", wsfleet)
	default:
	}
	looks := w.all()
	if len(looks) == 0 {
		return status{}, nil
	}
	return looks[len(looks)-1].status, nil
}

// since returns since when the status fits without a break, and the zero time when it does not.
func since(looks []look, fits func(status) bool) (at time.Time) {
	for _, l := range slices.Backward(looks) {
		if !fits(l.status) {
			return at
		}
		at = l.at
	}
	return at
}

// await waits until the status fits for a time. It returns an error with the last status after limit.
func (w *watch) await(ctx context.Context, limit, holds time.Duration, fits func(status) bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	since := time.Now()
	for {
		s, err := w.last()
		if err != nil {
			return err
		}
		if !fits(s) {
			since = time.Now()
		} else if time.Since(since) >= holds {
			return nil
		}
		select {
		case <-ctx.Done():
			text, _ := json.Marshal(s)
			return fmt.Errorf("not within %s; the fleet is: %s", limit, text)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
