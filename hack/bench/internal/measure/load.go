package measure

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

// result holds the used fields of `wsfleet load --output json`.
type result struct {
	Clients int     `json:"clients"`
	Phases  []phase `json:"phases"`
	Connect struct {
		Connected int `json:"connected"`
	} `json:"connect"`
	Steps []struct {
		Clients          int     `json:"clients"`
		BackAfterSeconds float64 `json:"backAfterSeconds"`
		Timeline         []struct {
			Attempted int `json:"attempted"`
		} `json:"timeline"`
		Recovery struct {
			Recovered    int `json:"recovered"`
			Publications int `json:"publications"`
		} `json:"recovery"`
	} `json:"steps"`
	Delivery struct {
		Lost       int     `json:"lost"`
		Duplicated int     `json:"duplicated"`
		Reordered  int     `json:"reordered"`
		PerSecond  float64 `json:"perSecond"`
		Latency    struct {
			P99 float64 `json:"p99"`
		} `json:"latency"`
	} `json:"delivery"`
}

type phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Server  *struct {
		CPUSeconds    float64 `json:"cpuSeconds"`
		RSSStartBytes float64 `json:"rssStartBytes"`
		RSSEndBytes   float64 `json:"rssEndBytes"`
	} `json:"server"`
}

// phase returns the phase of that name. It returns an error when the phase or its server figures are missing.
func (r *result) phase(name string) (phase, error) {
	for _, p := range r.Phases {
		if p.Name == name {
			if p.Server == nil {
				return p, fmt.Errorf("wsfleet load says nothing of the server in phase %q", name)
			}
			return p, nil
		}
	}
	return phase{}, fmt.Errorf("wsfleet load had no phase %q", name)
}

// stopTimeout bounds the time until the load tool exits after an interrupt.
const stopTimeout = 5 * time.Second

// load runs the load tool against a server and returns its result.
func load(ctx context.Context, bin string, s *server.Server, scenario string, flags ...string) (*result, error) {
	args := append([]string{
		"load", scenario, "ws://" + s.Address, "--output", "json", "--quiet", "--server-pid", strconv.Itoa(s.PID),
	}, flags...)
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "wsfleet"), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	// An interrupt lets the tool end its workers.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = stopTimeout
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		// A failed run is no measurement, even if it has a result.
		return nil, errors.Join(ctx.Err(),
			fmt.Errorf("wsfleet %s: %w: %s", strings.Join(args, " "), err, reason(out.Bytes(), errs.String())))
	}
	r := &result{}
	if err := json.Unmarshal(out.Bytes(), r); err != nil {
		return nil, fmt.Errorf("wsfleet load printed no result: %w", err)
	}
	return r, nil
}

// reason returns the failures in the result of a failed run, or the last line of its log.
func reason(result []byte, log string) string {
	var r struct{ Failures []string }
	if json.Unmarshal(result, &r) == nil && len(r.Failures) > 0 {
		return strings.Join(r.Failures, "; ")
	}
	return lastLine(log)
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}
