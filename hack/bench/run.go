package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/wsfleet/wsfleet/hack/bench/internal/measure"
	"github.com/wsfleet/wsfleet/hack/bench/internal/report"
	"github.com/wsfleet/wsfleet/hack/bench/internal/server"
)

// bench holds the options of one run of the command.
type bench struct {
	// bin and baseline are directories of binaries. output is the path of the result without its extension.
	bin, baseline, output string
	rounds                int
	targets               []string
	scenarios             []measure.Scenario
	settings              measure.Settings
	given                 map[string]string
	out, progress         io.Writer
}

var (
	errFailed      = errors.New("not everything could be measured; the table says what not")
	errInterrupted = errors.New("interrupted; the table says what was measured until then")
)

// run measures in rounds, so that a drift of the machine affects all targets equally. In each round it measures the
// targets of a row one after the other.
func (b *bench) run(ctx context.Context) error {
	r := &report.Report{
		Started:      time.Now(),
		Machine:      machine(ctx, b.bin),
		Settings:     b.given,
		Targets:      b.targets,
		Measurements: []report.Measurement{},
		Failures:     []report.Failure{},
	}
	r.Settings["rounds"] = strconv.Itoa(b.rounds)
	for _, s := range b.scenarios {
		r.Figures = append(r.Figures, s.Figures...)
	}
	for round := 1; round <= b.rounds; round++ {
		for _, scenario := range b.scenarios {
			for _, target := range b.targets {
				if ctx.Err() == nil && scenario.For(target) {
					b.measure(ctx, r, round, scenario, target)
				}
			}
		}
	}
	r.Interrupted = ctx.Err() != nil
	r.Seconds = time.Since(r.Started).Seconds()
	r.Summaries = report.Summarize(r.Figures, b.targets, r.Measurements)
	for _, target := range b.targets {
		if current, isBaseline := server.ComparedWith(target); isBaseline {
			r.Comparisons = append(r.Comparisons, report.Compare(r.Figures, r.Summaries, current, target)...)
		}
	}
	if err := b.write(r); err != nil {
		return err
	}
	switch {
	case r.Interrupted:
		return errInterrupted
	case len(r.Failures) > 0:
		return errFailed
	}
	return nil
}

// measure runs one scenario against one target.
func (b *bench) measure(ctx context.Context, r *report.Report, round int, s measure.Scenario, target string) {
	started := time.Now()
	_, _ = fmt.Fprintf(b.progress, "round %d/%d  %-13s %-9s ", round, b.rounds, s.Name, target)
	values, err := s.Run(ctx, b.settings, target)
	took := time.Since(started).Round(time.Second)
	switch {
	case ctx.Err() != nil:
		_, _ = fmt.Fprintln(b.progress, "interrupted")
		return
	case err != nil:
		_, _ = fmt.Fprintf(b.progress, "%4v  FAILED: %v\n", took, err)
		r.Failures = append(r.Failures, report.Failure{Scenario: s.Name, Target: target, Round: round, Error: err.Error()})
		return
	}
	_, _ = fmt.Fprintf(b.progress, "%4v ", took)
	for _, f := range s.Figures {
		if v, measured := values[f.Key]; measured {
			_, _ = fmt.Fprintf(b.progress, "  %s %s", f.Key, f.Unit.Text(v))
			r.Measurements = append(r.Measurements, report.Measurement{Figure: f.Key, Target: target, Round: round, Value: v})
		}
	}
	_, _ = fmt.Fprintln(b.progress)
}

// write prints the table and writes it to a file next to the JSON.
func (b *bench) write(r *report.Report) error {
	table := r.Markdown()
	if _, err := fmt.Fprint(b.out, "\n"+table); err != nil {
		return err
	}
	var data bytes.Buffer
	if err := r.JSON(&data); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(b.output), 0o755); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return errors.Join(
		os.WriteFile(b.output+".json", data.Bytes(), 0o600),
		os.WriteFile(b.output+".md", []byte(table), 0o600),
	)
}

// machine describes the machine, as far as that can be found out.
func machine(ctx context.Context, bin string) report.Machine {
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
