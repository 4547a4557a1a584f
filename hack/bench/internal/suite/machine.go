package suite

import (
	"bufio"
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
)

// Machine describes the machine, as far as that can be found out. bin is the directory of wsfleet-gateway.
func Machine(ctx context.Context, bin string) report.Machine {
	m := report.Machine{
		CPU:     "unknown CPU",
		Cores:   runtime.NumCPU(),
		Kernel:  "unknown",
		Go:      runtime.Version(),
		Version: "unknown",
	}
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		lines := bufio.NewScanner(bytes.NewReader(info))
		for lines.Scan() {
			if name, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if kernel, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(kernel))
	}
	if version, err := exec.CommandContext(ctx, filepath.Join(bin, "wsfleet-gateway"), "version").Output(); err == nil {
		m.Version = strings.TrimSpace(string(version))
	}
	return m
}
