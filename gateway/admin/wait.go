package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/wsfleet/wsfleet/internal/contract"
)

// DrainAndWait starts a drain and returns when the gateway is drained, has ended, or is past its
// deadline. It reports progress on out. grace is the time after the deadline for the last closes.
func (c *Client) DrainAndWait(ctx context.Context, r contract.DrainRequest, every, grace time.Duration, out io.Writer) error {
	report, err := c.Drain(ctx, r)
	if err != nil {
		return err
	}
	// Progress is for whoever looks; nothing depends on it.
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format, args...) }
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := -1
	for {
		d := report.Drain
		switch {
		case d == nil:
			say("the drain was undone: the gateway serves again\n")
			return nil
		case report.State == contract.StateDrained:
			say("drained: %d closed, %d forced\n", d.Closed, d.Forced)
			return nil
		case time.Now().After(d.Deadline.Add(grace)):
			say("past the deadline with %d connections left\n", report.Connections)
			return nil
		}
		if report.Connections != last {
			last = report.Connections
			say("draining: %d connections left, %s until the deadline\n", last, time.Until(d.Deadline).Round(time.Second))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the drain: %w", ctx.Err())
		case <-ticker.C:
		}
		now, err := c.Fleet(ctx)
		switch {
		case err == nil:
			report = now
		case hasEnded(err):
			say("the gateway has ended\n")
			return nil
		case ctx.Err() == nil:
			// It may be too busy to answer, which is no reason to kill it.
			say("no report, asking again: %v\n", err)
		}
	}
}

// hasEnded tells that nobody listens any more, or that the connection was cut.
func hasEnded(err error) bool {
	for _, end := range []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}
