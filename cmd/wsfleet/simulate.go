package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wsfleet/wsfleet/internal/reconnect"
	"github.com/wsfleet/wsfleet/internal/simulate"
)

// simulateFlags holds the flags that simulate.Scenario does not hold in the same form.
type simulateFlags struct {
	manifest                           string
	replicas, maxConnections           int32
	connections                        int64
	clients                            string
	layers, events                     []string
	podStart, restart, clientDetection string
	output, html                       string
	quiet                              bool
}

func newSimulateCommand() *cobra.Command {
	s, f := simulate.Defaults(), &simulateFlags{}
	cmd := &cobra.Command{
		Use:   "simulate --event EVENT",
		Short: "Predict what a rollout, a scale-in or a loss does to the clients of a fleet",
		Long: "Simulate a fleet with the operator's own planner and drains, and models of Kubernetes, load balancers and\n" +
			"clients. Nothing is connected to, and time is virtual.\n\n" +
			"Events, each at a time after @ or at the start:\n" + eventList() + "\n" +
			"Layers of --clients:\n" + layerList() + "\n" +
			layerSyntax,
		Example: `  wsfleet simulate --event rollout
  wsfleet simulate -f fleet.yaml --connections 200000 --event rollout --html rollout.html
  wsfleet simulate --replicas 100 --connections 1000000 --clients centrifuge=70,stompjs=30 --event zone-loss
  wsfleet simulate --replicas 30 --event rollout --event kill=2@1m --event redis-loss=2m@90s --output json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError{fmt.Errorf("%q is no flag: give events like --event rollout", args[0])}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runSimulation(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), s, f, cmd.Flags())
		},
	}
	f.add(cmd.Flags(), &s)
	for flag, values := range map[string][]string{
		"output":  {"table", "json"},
		"event":   eventNames(),
		"clients": reconnect.Names(),
	} {
		// It fails only for a flag that is not defined.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

func eventList() string {
	var b strings.Builder
	for _, kind := range simulate.Kinds() {
		fmt.Fprintf(&b, "  %-16s %s\n", kind[0], kind[1])
	}
	return b.String()
}

// layerSyntax says how --layer describes a layer.
const layerSyntax = "--layer describes others: " +
	"NAME=delay:1s-5s,growth:2,jitter:0.5,cap:30s,attempts:10,ends-at-close,ends-at-refusal"

// layerList returns the names of the layers in lines of five.
func layerList() string {
	var b strings.Builder
	for line := range slices.Chunk(reconnect.Names(), 5) {
		b.WriteString("  " + strings.Join(line, ", ") + "\n")
	}
	return b.String()
}

func eventNames() []string {
	kinds := simulate.Kinds()
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i], _, _ = strings.Cut(kind[0], "=")
	}
	return names
}

func (f *simulateFlags) add(fs *pflag.FlagSet, s *simulate.Scenario) {
	fs.SortFlags = false
	fs.StringArrayVar(&f.events, "event", nil,
		"`event` like rollout, scale-in=3@5m or redis-loss=1m@30s; may be given several times")
	fs.StringVarP(&f.manifest, "filename", "f", "",
		"`file` with a WebSocketCluster, whose spec is read with its defaults; - is standard input")
	fs.Int32Var(&f.replicas, "replicas", 0,
		"`count` of gateways (default: those of the manifest, as many as hold --connections at 75 %, or 10)")
	fs.Int64Var(&f.connections, "connections", 0, "`count` of clients (default: half of what the gateways hold)")
	fs.Int32Var(&f.maxConnections, "max-connections", 0,
		"maximum `count` of clients of a gateway (default: spec.gateway.maxConnections of the manifest, or 10000)")
	fs.StringVar(&f.clients, "clients", s.Clients[0].Layer.Name,
		"`layers` by which clients come back, with shares, like centrifuge=70,stompjs=30")
	fs.StringArrayVar(&f.layers, "layer", nil,
		"`description` of a layer for --clients, like mine=delay:1s-5s,growth:2,cap:30s; may be given several times")
	fs.Float64Var(&s.LeaveShare, "leave", s.LeaveShare,
		"`share` of the clients, 0 to 1, that does not come back when its connection ends")
	fs.Uint64Var(&s.Seed, "seed", s.Seed, "`number` from which chance follows: the same gives the same result")
	fs.StringVar(&f.podStart, "pod-start", s.PodStart.String(), "`time` from a pod's creation until it is ready")
	fs.StringVar(&f.restart, "restart", s.Restart.String(), "`time` until a killed gateway is ready again")
	fs.IntVar(&s.Zones, "zones", s.Zones, "`count` of zones that the gateways are spread over")
	fs.IntVar(&s.PodsPerNode, "pods-per-node", s.PodsPerNode, "maximum `count` of gateways on a node")
	fs.DurationVar(&s.EndpointDelay, "endpoint-delay", s.EndpointDelay,
		"`time` until load balancers notice that a pod's readiness has changed")
	fs.DurationVar(&s.NodeDetection, "node-detection", s.NodeDetection,
		"`time` until Kubernetes notices that a node is lost")
	fs.DurationVar(&s.EvictionDelay, "eviction-delay", s.EvictionDelay, "`time` after that until its pods are deleted")
	fs.StringVar(&f.clientDetection, "client-detection", s.ClientDetection.String(),
		"`time` until a client notices that its gateway's node is lost")
	fs.DurationVar(&s.ConnectTimeout, "connect-timeout", s.ConnectTimeout,
		"`time` for which a client tries to connect to a lost node")
	fs.DurationVar(&s.Limit, "limit", s.Limit,
		"virtual `time` at which the simulation ends though the fleet has not settled")
	fs.StringVar(&f.output, "output", "table", "`format` of the result: table, json")
	fs.StringVar(&f.html, "html", "", "`file` for the result as a page with plots, besides")
	fs.BoolVar(&f.quiet, "quiet", false, "write no progress to standard error")
}

// applyTo reads the flags and the manifest into a scenario. It returns a *simulate.Error for what cannot be used.
func (f *simulateFlags) applyTo(s *simulate.Scenario, fs *pflag.FlagSet) (err error) {
	if f.output != "table" && f.output != "json" {
		return &simulate.Error{Field: "output", Problem: fmt.Sprintf("unknown format %q: use table or json", f.output)}
	}
	if len(f.events) == 0 {
		return &simulate.Error{Field: "event", Problem: "nothing happens without one: give one or more, like rollout"}
	}
	for _, text := range f.events {
		e, err := simulate.ParseEvent(text)
		if err != nil {
			return err //nolint:wrapcheck // it names the flag
		}
		s.Events = append(s.Events, e)
	}
	var layers []reconnect.Layer
	for _, text := range f.layers {
		layer, err := simulate.ParseLayer(text)
		if err != nil {
			return err //nolint:wrapcheck // it names the flag
		}
		layers = append(layers, layer)
	}
	if s.Clients, err = simulate.ParseClients(f.clients, layers); err != nil {
		return err //nolint:wrapcheck // it names the flag
	}
	for flag, to := range map[string]struct {
		text  string
		value *simulate.Range
	}{
		"pod-start":        {f.podStart, &s.PodStart},
		"restart":          {f.restart, &s.Restart},
		"client-detection": {f.clientDetection, &s.ClientDetection},
	} {
		if *to.value, err = simulate.ParseRange(flag, to.text); err != nil {
			return err //nolint:wrapcheck // it names the flag
		}
	}
	return f.applySize(s, fs)
}

// applySize reads the manifest, and the flags that replace what it says of the fleet's size.
func (f *simulateFlags) applySize(s *simulate.Scenario, fs *pflag.FlagSet) error {
	size := simulate.Size{}
	if fs.Changed("replicas") {
		size.Replicas = &f.replicas
	}
	if fs.Changed("connections") {
		size.Connections = &f.connections
	}
	if fs.Changed("max-connections") {
		size.MaxConnections = &f.maxConnections
	}
	var manifest []byte
	var err error
	switch f.manifest {
	case "":
	case "-":
		manifest, err = io.ReadAll(os.Stdin)
	default:
		manifest, err = os.ReadFile(f.manifest)
	}
	if err != nil {
		return &simulate.Error{Field: "filename", Problem: err.Error()}
	}
	return s.SetFleet(manifest, size) //nolint:wrapcheck // it names the flag or the field
}

// simulationGCPercent lets the heap grow to five times what is in use. A simulation of many gateways keeps little, and
// allocates much in each reconcile.
const simulationGCPercent = 400

func runSimulation(
	ctx context.Context, stdout, stderr io.Writer, s simulate.Scenario, f *simulateFlags, fs *pflag.FlagSet,
) error {
	if err := f.applyTo(&s, fs); err != nil {
		return err
	}
	debug.SetGCPercent(simulationGCPercent)
	page, err := f.openPage()
	if err != nil {
		return err
	}
	report, clearLine := func(simulate.Progress) {}, func() {}
	if !f.quiet {
		report, clearLine = simulationProgress(stderr)
	}
	result, err := simulate.Run(ctx, s, report)
	clearLine()
	if err == nil {
		err = f.write(stdout, page, result)
	}
	if err := errors.Join(err, page.Close()); err != nil {
		return err
	}
	if !result.Settled {
		return errFailed
	}
	return nil
}

// openPage opens the file of the page before the simulation, so that one that cannot be written is an error at once.
func (f *simulateFlags) openPage() (io.WriteCloser, error) {
	if f.html == "" {
		return nopCloser{io.Discard}, nil
	}
	file, err := os.Create(f.html)
	if err != nil {
		return nil, &simulate.Error{Field: "html", Problem: err.Error()}
	}
	return file, nil
}

// write writes the result in each form that the flags ask for.
func (f *simulateFlags) write(stdout, page io.Writer, r *simulate.Result) error {
	if f.html != "" {
		if err := r.WriteHTML(page); err != nil {
			return err //nolint:wrapcheck // it says what failed
		}
	}
	if f.output == "json" {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	return r.WriteText(stdout) //nolint:wrapcheck // the caller prints it
}

// progressInterval is the time between two lines of progress. A simulation that is over before writes none.
const progressInterval = time.Second

// simulationProgress returns functions that write a line of progress from time to time, and clear it.
func simulationProgress(w io.Writer) (report func(simulate.Progress), clearLine func()) {
	next := time.Now().Add(progressInterval)
	write, clearLine := linePrinter(w)
	return func(p simulate.Progress) {
		if now := time.Now(); now.After(next) {
			next = now.Add(progressInterval)
			write(p.Line())
		}
	}, clearLine
}
