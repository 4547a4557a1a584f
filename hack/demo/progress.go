package main

import (
	"fmt"
	"io"
	"time"
)

// progress prints a line for each step with how long it took.
type progress struct {
	out     io.Writer
	started time.Time
}

// note prints the result of a step behind its name.
type note func(format string, args ...any)

func newProgress(out io.Writer) *progress { return &progress{out: out, started: time.Now()} }

func (p *progress) step(name string, do func(note) error) error {
	began := time.Now()
	_, _ = fmt.Fprintf(p.out, "[%5.1fs] %s ...\n", time.Since(p.started).Seconds(), name)
	var said string
	if err := do(func(format string, args ...any) { said = ": " + fmt.Sprintf(format, args...) }); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, _ = fmt.Fprintf(p.out, "[%5.1fs] %s%s (%.1fs)\n", time.Since(p.started).Seconds(), name, said,
		time.Since(began).Seconds())
	return nil
}

func (p *progress) elapsed() time.Duration { return time.Since(p.started) }
