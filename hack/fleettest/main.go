// Command fleettest changes a fleet on a local cluster with two nodes in all ways that users and machines do, while
// clients stay connected by `wsfleet load live`, and prints what each event did to them: docs/fleet-test.md explains
// the table. hack/fleettest.sh prepares the cluster and calls it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fleettest:", err)
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	cluster string
	output  string
	short   bool
	seed    uint64
	clients clients
}

func command() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "fleettest",
		Short: "Change a fleet in all ways while clients stay connected, and count what they notice",
		Long: "Change a fleet in all ways while clients stay connected, and count what they notice. It writes a table to\n" +
			"standard output, and a page with plots and the numbers as JSON into --output.\n\n" +
			"It fails when a client that recovers loses a message, gets one twice or in another order, when a client does\n" +
			"not come back, and when a planned event refuses one. Times are printed beside their goals, and fail nothing.",
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.short {
				o.clients = shortClients
			}
			return run(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.cluster, "name", "wsfleet-fleet", "name of the local cluster")
	flags.StringVar(&o.output, "output", "dist", "`directory` of the page and the JSON")
	flags.BoolVar(&o.short, "short", false, "only a few events, with few clients")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "`number` by which the operator's ends are chosen")
	flags.IntVar(&o.clients.sdk, "sdk", 2000, "`number` of clients that come back as the Centrifuge SDKs do")
	flags.IntVar(&o.clients.plain, "plain", 500, "`number` of plain clients, which come back after 1 to 5 s")
	flags.IntVar(&o.clients.fixed, "fixed", 200, "`number` of clients that come back after exactly 1 s")
	for _, clients := range []string{"sdk", "plain", "fixed"} {
		cmd.MarkFlagsMutuallyExclusive("short", clients)
	}
	return cmd
}

// shortClients are those of a short test.
var shortClients = clients{sdk: 200, plain: 50, fixed: 20}

// run runs the test. It returns an error when it cannot, and when a goal is missed that is no time.
func run(ctx context.Context, o options) error {
	began := time.Now()
	c, err := newCluster(ctx, o.cluster)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.output, 0o755); err != nil {
		return err
	}
	if err := c.prepare(ctx); err != nil {
		return err
	}
	watch, err := watchFleet(ctx, c.kubeconfig)
	if err != nil {
		return err
	}
	defer watch.stop()
	t := test{cluster: c, watch: watch, clients: o.clients, seed: o.seed}
	if err := t.awaitRest(ctx, atRest); err != nil {
		return err
	}
	if t.acceptRate, err = c.measureAccepts(ctx, o.clients.all()); err != nil {
		return err
	}
	if err := c.setBudget(ctx, t.budget()); err != nil {
		return err
	}
	say("the fleet accepts %.0f clients a second by `wsfleet load`; the reconnect budget is half of that: %d",
		t.acceptRate, t.budget())

	events := allEvents()
	if o.short {
		events = shortEvents()
	}
	outcome, failed := t.run(ctx, events)
	if outcome == nil {
		return failed
	}
	say("%d events in %s", len(outcome.rows), time.Since(began).Round(time.Second))
	fmt.Print(outcome.markdown())
	if err := outcome.save(filepath.Join(o.output, "fleet-test")); err != nil {
		return err
	}
	if missed := outcome.missed(); len(missed) > 0 {
		return errors.Join(failed, fmt.Errorf("%d goals were missed: %w", len(missed), errors.Join(missed...)))
	}
	return failed
}

// say writes a line of progress.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format(time.TimeOnly)+" "+format+"\n", args...)
}
