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

// DrainAndWait starts a drain, or joins the one that is under way, and blocks until the gateway is drained, serves
// again, has ended, or is past its deadline by grace. It reads the report every interval and writes the progress to
// out. It returns an error when the drain cannot be started, and the error of ctx when that ends first.
func (c *Client) DrainAndWait(
	ctx context.Context, r contract.DrainRequest, interval, grace time.Duration, out io.Writer,
) error {
	report, err := c.Drain(ctx, r)
	if err != nil {
		return err
	}
	progress := progress{out: out, grace: grace, connections: -1}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !progress.show(report) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the drain: %w", ctx.Err())
		case <-ticker.C:
		}
		next, err := c.Report(ctx)
		switch {
		case err == nil:
			report = next
		case isConnectionLost(err):
			progress.say("the gateway has ended\n")
			return nil
		case ctx.Err() == nil:
			// The gateway may be too busy to answer. The kubelet kills it when this command returns, so wait on.
			progress.say("no report, asking again: %v\n", err)
		}
	}
	return nil
}

// progress writes the progress of a drain.
type progress struct {
	out   io.Writer
	grace time.Duration
	// connections and waits are what was written last: the number of connections, and whether the gateway waits.
	connections int
	waits       bool
}

// show writes what a report says and reports whether there is nothing left to wait for.
func (p *progress) show(report contract.GatewayReport) (done bool) {
	d := report.Drain
	switch {
	case d == nil:
		p.say("the drain was undone: the gateway serves again\n")
		return true
	case report.State == contract.StateDrained:
		p.say("drained: %d closed, %d forced\n", d.Closed, d.Forced)
		return true
	case time.Now().After(d.Deadline.Add(p.grace)):
		p.say("past the deadline with %d connections left\n", report.Connections)
		return true
	}
	if report.Connections != p.connections || d.WaitsForAnother != p.waits {
		p.connections, p.waits = report.Connections, d.WaitsForAnother
		left := time.Until(d.Deadline).Round(time.Second)
		waits := ""
		if d.WaitsForAnother {
			waits = ", waiting until another gateway serves"
		}
		p.say("draining: %d connections left, %s until the deadline%s\n", report.Connections, left, waits)
	}
	return false
}

// say writes one line. The drain goes on when it cannot be written.
func (p *progress) say(format string, args ...any) { _, _ = fmt.Fprintf(p.out, format, args...) }

// isConnectionLost reports whether err means that the gateway's process has ended: its port is closed, or it closed
// the connection without an answer.
func isConnectionLost(err error) bool {
	lost := []error{syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF}
	for _, target := range lost {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
