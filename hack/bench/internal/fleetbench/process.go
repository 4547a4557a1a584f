package fleetbench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// startTimeout bounds the time until the operator is ready.
const startTimeout = time.Minute

// process is a running operator.
type process struct {
	cmd  *exec.Cmd
	proc procfs.Proc
	log  *os.File
	// ended is closed when the process has ended.
	ended chan struct{}
}

// startOperator starts the operator and blocks until it is ready. It returns an error when the operator ends before.
func startOperator(ctx context.Context, p *plane, build Build) (*process, error) {
	health, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(p.dir, "operator.log"))
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, build.Binary, "--metrics-bind-address=0", "--health-probe-bind-address="+health,
		"--gateway-image=example.com/gateway:bench", "--redis-image=example.com/redis:bench")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig)
	cmd.Stderr = log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the operator: %w", err)
	}
	running := &process{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		defer close(running.ended)
		_ = cmd.Wait()
	}()
	if running.proc, err = procfs.NewProc(cmd.Process.Pid); err != nil {
		running.stop()
		return nil, err
	}
	if err := running.awaitReady(ctx, health); err != nil {
		running.stop()
		return nil, err
	}
	return running, nil
}

// awaitReady blocks until /readyz answers 200. It returns an error when the process ends or startTimeout has passed.
func (p *process) awaitReady(ctx context.Context, health string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+health+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.ended:
			return fmt.Errorf("the operator has ended: %s", p.lastLog())
		case <-ctx.Done():
			return fmt.Errorf("the operator is not ready: %s", p.lastLog())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// lastLog returns the end of the operator's log.
func (p *process) lastLog() string {
	data, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(data[max(0, len(data)-1000):])
}

// stop ends the operator and waits until it has ended.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	_ = p.log.Close()
}

// usage is what a process has used.
type usage struct {
	cpuSeconds float64
	// rss and peak are the resident memory in bytes, now and at most.
	rss, peak float64
}

func (p *process) usage() (usage, error) {
	stat, err := p.proc.Stat()
	if err != nil {
		return usage{}, fmt.Errorf("the operator has ended: %s", p.lastLog())
	}
	status, err := p.proc.NewStatus()
	if err != nil {
		return usage{}, err
	}
	return usage{cpuSeconds: stat.CPUTime(), rss: float64(status.VmRSS), peak: float64(status.VmHWM)}, nil
}

// freeAddress returns a loopback address that was free a moment ago.
func freeAddress(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
