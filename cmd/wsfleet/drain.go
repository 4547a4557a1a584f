package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/controllers/fleet"
	"github.com/wsfleet/wsfleet/controllers/plan"
	"github.com/wsfleet/wsfleet/internal/contract"
)

const (
	// drainInterval is the time between two looks at a gateway that drains.
	drainInterval = time.Second
	// drainMargin is how long after its deadline a drain may take to close what was left.
	drainMargin = 30 * time.Second
)

// drainFlags are the flags of a drain.
type drainFlags struct {
	timeout     time.Duration
	reason      string
	wait, force bool
	output      outputFormat
}

func newDrainCommand(f *fleetCommand) *cobra.Command {
	var flags drainFlags
	cmd := &cobra.Command{
		Use:   "drain POD",
		Short: "Let a gateway hand its clients over to the others",
		Long: "Let a gateway hand its clients over to the other gateways of its fleet, and wait until it has. It stays\n" +
			"drained until `undrain`, or until its pod is deleted; the fleet is smaller by one gateway meanwhile. The\n" +
			"operator sets the pace of the drain, and chooses a drained gateway first when the fleet becomes smaller.\n\n" +
			"With --force the last serving gateway drains too. It waits for another one until 15 s before its deadline.\n" +
			"An interrupt ends the waiting and not the drain.",
		Example: fmt.Sprintf(`  %[1]s drain chat-gateway-7d4b9c6f5-x2x7p
  %[1]s drain chat-gateway-7d4b9c6f5-x2x7p --timeout 10m --reason "kernel upgrade" --wait=false`, f.program),
		Args:              onePod,
		ValidArgsFunction: f.completePods,
		PreRunE:           func(*cobra.Command, []string) error { return flags.check() },
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(client *fleetclient.Client) error {
				return drainPod(cmd, client, args[0], flags)
			})
		},
	}
	cmd.Flags().DurationVar(&flags.timeout, "timeout", 0, "maximum `time` of the drain (default spec.drain.timeout)")
	cmd.Flags().StringVar(&flags.reason, "reason", "by hand", "`text` for the gateway's report and log")
	cmd.Flags().BoolVar(&flags.wait, "wait", true, "wait until the gateway is drained")
	cmd.Flags().BoolVar(&flags.force, "force", false,
		"drain the last serving gateway, or one whose clients the others cannot hold")
	addOutputFlag(cmd, &flags.output)
	return cmd
}

// check returns a usageError when a value cannot be used.
func (f drainFlags) check() error {
	switch {
	case f.timeout < 0 || f.timeout > contract.MaxDrainTimeout || f.timeout%time.Second != 0:
		return usageError{fmt.Errorf("--timeout: %s cannot be used: give whole seconds, up to 24h", f.timeout)}
	case f.reason == "":
		return usageError{errors.New("--reason: give a text")}
	case f.reason == plan.DrainReasonScaleIn:
		return usageError{fmt.Errorf("--reason: %q is the reason of the operator's own drains, which it undoes: give another",
			f.reason)}
	}
	return nil
}

// drainPod drains the gateway of a pod as flags say, and writes what became of it.
func drainPod(cmd *cobra.Command, client *fleetclient.Client, name string, flags drainFlags) error {
	ctx := cmd.Context()
	observed, err := observePod(ctx, client, name)
	if err != nil {
		return err
	}
	if err := fleetview.CheckDrain(observed, name, flags.force); err != nil {
		return err //nolint:wrapcheck // it is for the user
	}
	gateway, err := fleetview.GatewayStatus(observed, name)
	if err != nil {
		return err //nolint:wrapcheck // it is for the user
	}
	progress := newProgress(cmd.ErrOrStderr())
	if gateway.Drain != nil {
		progress.say(name + " drains already, and goes on as it is: --timeout and --reason change nothing")
	} else if err := client.Drain(ctx, observed.Pod(name), observed.Cluster.Name, flags.request()); err != nil {
		return err //nolint:wrapcheck // it names the pod
	}
	if flags.wait {
		gateway, err = awaitDrained(ctx, client, observed, name, progress)
	} else {
		gateway, err = lookAtPod(ctx, client, observed, name)
	}
	if err != nil {
		return err
	}
	return flags.output.write(cmd.OutOrStdout(), gateway)
}

// request returns the request to the gateway. The gateway does not serve again by itself, as one that the operator
// drains does when the operator is gone: the user has not finished at the deadline.
func (f drainFlags) request() contract.DrainRequest {
	return contract.DrainRequest{Reason: f.reason, TimeoutSeconds: int(f.timeout / time.Second)}
}

// observePod observes the fleet that a pod belongs to. It returns an error when the pod is no gateway, or the fleet
// cannot be read.
func observePod(ctx context.Context, client *fleetclient.Client, name string) (fleetview.Observation, error) {
	cluster, err := client.ClusterOfPod(ctx, name)
	if err != nil {
		return fleetview.Observation{}, err //nolint:wrapcheck // it says what it did
	}
	return client.Observe(ctx, cluster) //nolint:wrapcheck // it says what it did
}

// lookAtPod returns what a gateway does now. A pod that is gone is one that has ended.
func lookAtPod(
	ctx context.Context, client *fleetclient.Client, before fleetview.Observation, name string,
) (fleetview.Gateway, error) {
	now, err := client.Refresh(ctx, before, before.Pod(name))
	if errors.Is(err, fleetclient.ErrNoPod) {
		return fleetview.Gateway{
			Kind: fleetview.KindGateway, Pod: name, State: fleetview.StateEnded, Detail: "its pod was deleted",
		}, nil
	}
	if err != nil {
		return fleetview.Gateway{}, err //nolint:wrapcheck // it says what it did
	}
	return fleetview.GatewayStatus(now, name) //nolint:wrapcheck // it is for the user
}

// awaitDrained writes the progress of a drain until it is done, and returns what the gateway does then. It returns an
// error when the drain was undone or is overdue, and an interruptedError when ctx ends first.
func awaitDrained(
	ctx context.Context, client *fleetclient.Client, before fleetview.Observation, name string, p *progress,
) (fleetview.Gateway, error) {
	defer p.clear()
	ticker := time.NewTicker(drainInterval)
	defer ticker.Stop()
	for {
		gateway, err := lookAtPod(ctx, client, before, name)
		switch {
		case ctx.Err() != nil:
			return gateway, interruptedError{
				fmt.Sprintf("stopped waiting; the drain of %s goes on, and `undrain %s` ends it", name, name),
			}
		case err != nil:
			p.update("asking again: " + err.Error())
		case gateway.State == fleetview.StateDrained || gateway.State == fleetview.StateEnded:
			return gateway, nil
		case gateway.Drain == nil && gateway.Connections != nil:
			return gateway, fmt.Errorf("the drain of %s was undone: the gateway serves again", name)
		case gateway.Overdue(drainMargin, time.Now()):
			return gateway, fmt.Errorf("%s has %d connections %s after its deadline: look at its log, or delete the pod",
				name, *gateway.Connections, drainMargin)
		default:
			p.update(gateway.Progress(time.Now()))
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

func newUndrainCommand(f *fleetCommand) *cobra.Command {
	var output outputFormat
	cmd := &cobra.Command{
		Use:   "undrain POD",
		Short: "Let a gateway that was drained serve again",
		Long: "Let a gateway that drains or is drained serve again. Clients that it has handed over stay where they are.\n" +
			"A gateway that serves is left as it is.",
		Example:           fmt.Sprintf(`  %s undrain chat-gateway-7d4b9c6f5-x2x7p`, f.program),
		Args:              onePod,
		ValidArgsFunction: f.completePods,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(client *fleetclient.Client) error {
				gateway, err := undrainPod(cmd.Context(), client, args[0])
				if err != nil {
					return err
				}
				if gateway.State == fleetview.StateNotReady {
					gateway.Detail = "it serves again, and clients reach it as soon as its readiness probe succeeds"
				}
				return output.write(cmd.OutOrStdout(), gateway)
			})
		},
	}
	addOutputFlag(cmd, &output)
	return cmd
}

// undrainPod lets the gateway of a pod serve again, and returns what it does then.
func undrainPod(ctx context.Context, client *fleetclient.Client, name string) (fleetview.Gateway, error) {
	observed, err := observePod(ctx, client, name)
	if err != nil {
		return fleetview.Gateway{}, err
	}
	if err := fleetview.CheckUndrain(observed, name); err != nil {
		return fleetview.Gateway{}, err //nolint:wrapcheck // it is for the user
	}
	err = client.Undrain(ctx, observed.Pod(name), observed.Cluster.Name)
	if errors.Is(err, fleet.ErrConflict) {
		return fleetview.Gateway{}, fmt.Errorf("gateway %s cannot serve again: its process is ending, and its container or "+
			"pod will be replaced", name)
	}
	if err != nil {
		return fleetview.Gateway{}, err //nolint:wrapcheck // it names the pod
	}
	return lookAtPod(ctx, client, observed, name)
}

// progress writes lines about something that lasts: on a terminal each over the one before, and elsewhere each that
// differs from the one before.
type progress struct {
	out      io.Writer
	terminal bool
	width    int
	last     string
}

func newProgress(out io.Writer) *progress {
	width, _, terminal := terminalSize(out)
	return &progress{out: out, terminal: terminal, width: width}
}

// say writes a line that stays.
func (p *progress) say(line string) {
	p.clear()
	_, _ = fmt.Fprintln(p.out, line)
}

// update writes how far it is. What lasts goes on when it cannot be written.
func (p *progress) update(line string) {
	switch {
	case p.terminal:
		_, _ = fmt.Fprint(p.out, "\r"+cut(line, p.width)+eraseLine)
	case line != p.last:
		_, _ = fmt.Fprintln(p.out, line)
	}
	p.last = line
}

// clear removes the line of a terminal that update has written.
func (p *progress) clear() {
	if p.terminal && p.last != "" {
		_, _ = fmt.Fprint(p.out, "\r"+eraseLine)
	}
}

// cut returns the beginning of a line that fits into a width.
func cut(line string, width int) string {
	if runes := []rune(line); len(runes) > width {
		return string(runes[:width])
	}
	return line
}
