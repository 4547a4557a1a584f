// Package progress prints the steps of a command and how long each took.
package progress

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Reporter writes a line per step.
type Reporter struct {
	out   io.Writer
	now   func() time.Time
	begun time.Time
	mu    sync.Mutex
}

// New returns a Reporter whose clock starts now.
func New(out io.Writer) *Reporter { return newAt(out, time.Now) }

func newAt(out io.Writer, now func() time.Time) *Reporter {
	return &Reporter{out: out, now: now, begun: now()}
}

// Step does one thing and reports it, with the time it took and the time since
// the beginning. A step that fails is reported by its error alone, which the
// caller gets back.
func (r *Reporter) Step(name string, do func() error) error {
	begun := r.now()
	if err := do(); err != nil {
		return err
	}
	r.Say("%-40s %6.1fs", name, r.now().Sub(begun).Seconds())
	return nil
}

// Say writes a line with the time since the beginning.
func (r *Reporter) Say(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "[%6.1fs] %s\n", r.now().Sub(r.begun).Seconds(), fmt.Sprintf(format, args...))
}
