package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/wsfleet/wsfleet/internal/load"
	"github.com/wsfleet/wsfleet/internal/reconnect"
)

// loadFlags holds the flags that load.Options does not hold in the same form.
type loadFlags struct {
	protocol, sources, output, outputFile string
	header                                []string
	reconnect                             string
	groups, layers                        []string
	quiet                                 bool
}

func newLoadCommand() *cobra.Command {
	o, f := load.Defaults(), &loadFlags{}
	cmd := &cobra.Command{
		Use:   "load SCENARIO URL",
		Short: "Test a gateway under load and report deliveries, latency and cost",
		Long: "Open many connections to a gateway, publish through some of them, and report what arrived, when, and how\n" +
			"much CPU time and memory the server used. A URL without a path gets the path of the protocol.\n\n" +
			"Scenarios:\n" + scenarioList() + "\n" +
			"Layers of --reconnect and --group, by which the clients of live come back:\n" + layerList() + "\n" +
			layerSyntax,
		Example: `  wsfleet load idle ws://127.0.0.1:8080 --clients 10000 --channels 1000 --server-pid 4242
  wsfleet load fanout ws://127.0.0.1:8080 --clients 5000 --window 16
  wsfleet load storm ws://127.0.0.1:8080 --clients 5000 --channels 500 --recover --rate 500
  wsfleet load live wss://example.com --clients 900 --group 100:stompjs:plain --channels 50 --duration 10m --events log
  wsfleet load chat wss://example.com --clients 1000 --channels 50 --rate 200 --output html --output-file chat.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("give a scenario and a URL, like: wsfleet load fanout ws://127.0.0.1:8080")}
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, s := range load.Scenarios() {
				if len(args) == 0 {
					names = append(names, s[0]+"\t"+s[1])
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Scenario, o.URL = load.Scenario(args[0]), args[1]
			return runLoad(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o, f)
		},
	}
	addFlags(cmd.Flags(), &o, f)
	for flag, values := range map[string][]string{
		"protocol": {"plain", "centrifuge"},
		"output":   {"text", "json", "html"},
	} {
		// It fails only for a flag that is not defined.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	// Neither fails: both flags are defined.
	_ = cmd.RegisterFlagCompletionFunc("reconnect",
		cobra.FixedCompletions(reconnect.Names(), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("group", completeGroup)
	return cmd
}

// completeGroup completes the layer of a group behind its number of clients.
func completeGroup(_ *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
	clients, _, hasLayer := strings.Cut(text, ":")
	if !hasLayer {
		return nil, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	var groups []string
	for _, name := range reconnect.Names() {
		groups = append(groups, clients+":"+name, clients+":"+name+":plain")
	}
	return groups, cobra.ShellCompDirectiveNoFileComp
}

func scenarioList() string {
	var b strings.Builder
	for _, s := range load.Scenarios() {
		fmt.Fprintf(&b, "  %-8s %s\n", s[0], s[1])
	}
	return b.String()
}

func addFlags(fs *pflag.FlagSet, o *load.Options, f *loadFlags) {
	fs.SortFlags = false
	fs.StringVar(&f.protocol, "protocol", string(o.Protocol), "`protocol` of the clients: plain, centrifuge")
	fs.IntVar(&o.Clients, "clients", o.Clients, "`count` of clients")
	fs.IntVar(&o.Channels, "channels", o.Channels,
		"`count` of channels; clients are spread over them evenly (direct: one channel per pair)")
	fs.IntVar(&o.Subscriptions, "subscriptions", o.Subscriptions,
		"idle, storm: `count` of channels that each client subscribes to")
	fs.BoolVar(&o.ConnectFirst, "connect-first", false,
		"subscribe in a second frame, once connect is answered, as SDKs do (protocol centrifuge)")
	fs.StringVar(&o.ChannelPrefix, "channel-prefix", o.ChannelPrefix, "`text` that the channel names begin with")
	fs.Float64Var(&o.Rate, "rate", o.Rate,
		"`messages` per second over all publishers, in an open loop (10 when --window is not given either)")
	fs.IntVar(&o.Window, "window", o.Window,
		"`messages` in flight over all publishers, in a closed loop; one is complete when every subscriber has it")
	fs.IntVar(&o.MessageBytes, "message-bytes", o.MessageBytes, "size of a message's data in `bytes`")
	fs.DurationVar(&o.Duration, "duration", o.Duration, "measured `time`; ramp: of each step; live: 0 = until Ctrl-C")
	fs.DurationVar(&o.Warmup, "warmup", o.Warmup, "`time` of publishing before the measured time; live has none")
	fs.DurationVar(&o.Hold, "hold", o.Hold, "idle: measured `time` with open connections")
	fs.Float64Var(&o.ConnectRate, "connect-rate", o.ConnectRate,
		"`connections` per second; 0 = as fast as --connect-concurrency allows")
	fs.IntVar(&o.ConnectConcurrency, "connect-concurrency", o.ConnectConcurrency,
		"maximum number of `handshakes` at once; 0 = 64, for the reconnects of a storm --clients")
	fs.StringVar(&f.sources, "sources", "",
		"`addresses` to connect from in turn, like 127.0.0.1-127.0.0.10,127.0.1.1 "+
			"(default 127.0.0.1-127.0.0.10 to a loopback address)")
	fs.IntVar(&o.Processes, "processes", o.Processes, "`count` of processes; 0 = as many as file descriptors need")
	fs.DurationVar(&o.Timeout, "timeout", o.Timeout,
		"maximum `time` until a client is subscribed, and to wait for messages that do not arrive")
	fs.DurationVar(&o.Jitter, "jitter", o.Jitter,
		"storm: `time` over which the reconnects are spread at random; 0 = all at once")
	fs.DurationVar(&o.RetryDelay, "retry-delay", o.RetryDelay,
		"storm: `time` after which a refused client tries again; 0 = a random time that grows")
	fs.IntVar(&o.Cycles, "cycles", o.Cycles, "storm: `count` of storms")
	fs.BoolVar(&o.Recover, "recover", false,
		"storm: clients recover the messages that they missed; one further connection per channel publishes")
	fs.StringVar(&f.reconnect, "reconnect", "",
		"live: `layer` by which the --clients come back (default "+reconnect.Names()[0]+", as the SDKs do)")
	fs.StringArrayVar(&f.groups, "group", nil,
		"live: further `clients`, like 100:stompjs, or 100:stompjs:plain for plain ones; may be given several times")
	fs.StringArrayVar(&f.layers, "layer", nil,
		"live: `description` of a layer, like mine=delay:1s-5s,growth:2,cap:30s; may be given several times")
	fs.StringVar(&o.Events, "events", "",
		"live: `file` whose lines are marked as events while it grows; it is created when there is none")
	fs.IntVar(&o.StepClients, "step-clients", o.StepClients, "ramp: `clients` that a step adds; 0 = a tenth of --clients")
	fs.DurationVar(&o.MaxP99, "max-p99", o.MaxP99, "ramp: end when p99 is above this `latency`; 0 = no limit")
	fs.IntVar(&o.ServerPID, "server-pid", o.ServerPID, "process `id` of the server, to observe its CPU time and memory")
	fs.StringVar(&o.MetricsURL, "metrics-url", o.MetricsURL,
		"`URL` of the server's Prometheus metrics, to observe a server on another machine")
	fs.StringArrayVar(&f.header, "header", nil, "header of the handshake, `name=value`; may be given several times")
	fs.BoolVar(&o.InsecureSkipVerify, "insecure-skip-verify", false, "do not check the server's certificate")
	fs.StringVar(&f.output, "output", "text", "`format` of the result: text, json, html")
	fs.StringVar(&f.outputFile, "output-file", "", "`file` for the result instead of standard output")
	fs.BoolVar(&f.quiet, "quiet", false, "write no progress to standard error")
}

// applyTo parses the flags into options. It returns a *load.Error for a value that cannot be used.
func (f *loadFlags) applyTo(o *load.Options) (err error) {
	o.Protocol = load.Protocol(f.protocol)
	if f.output != "text" && f.output != "json" && f.output != "html" {
		return &load.Error{Flag: "output", Problem: fmt.Sprintf("unknown format %q: use text, json or html", f.output)}
	}
	if f.sources != "" {
		if o.Sources, err = load.ParseSources(f.sources); err != nil {
			return err
		}
	}
	if err := f.applyLayers(o); err != nil {
		return err
	}
	o.Header = http.Header{}
	for _, h := range f.header {
		name, value, ok := strings.Cut(h, "=")
		if !ok || name == "" {
			return &load.Error{Flag: "header", Problem: fmt.Sprintf("%q names no value: give one like X-Name=value", h)}
		}
		o.Header.Add(name, value)
	}
	return nil
}

// applyLayers parses the flags that say how clients come back. It returns a *load.Error for a value that cannot be
// used.
func (f *loadFlags) applyLayers(o *load.Options) error {
	if len(f.layers) > 0 && o.Scenario != load.Live {
		return &load.Error{Flag: "layer", Problem: "only the clients of live come back by a layer: leave it out"}
	}
	var layers []reconnect.Layer
	for _, text := range f.layers {
		layer, err := reconnect.Parse(text)
		if err != nil {
			return &load.Error{Flag: "layer", Problem: err.Error()}
		}
		layers = append(layers, layer)
	}
	if f.reconnect != "" {
		layer, err := reconnect.Find(f.reconnect, layers)
		if err != nil {
			return &load.Error{Flag: "reconnect", Problem: err.Error()}
		}
		o.Reconnect = layer
	}
	for _, text := range f.groups {
		group, err := load.ParseGroup(text, layers)
		if err != nil {
			return err //nolint:wrapcheck // it names the flag
		}
		o.Groups = append(o.Groups, group)
	}
	return nil
}

// errFailed ends the command with exitFailed and without a message, because the result says what failed.
var errFailed = errors.New("")

func runLoad(ctx context.Context, stdout, stderr io.Writer, o load.Options, f *loadFlags) error {
	if err := f.applyTo(&o); err != nil {
		return err
	}
	out, err := f.openOutput(stdout)
	if err != nil {
		return err
	}
	callbacks := load.Callbacks{WorkerCommand: newWorkerCommand}
	clearLine := func() {}
	if !f.quiet {
		callbacks.Progress, clearLine = progressPrinter(stderr)
	}
	result, err := load.Run(ctx, o, callbacks)
	clearLine()
	if err == nil {
		err = writeResult(out, result, f.output)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if len(result.Failures) > 0 {
		return errFailed
	}
	return nil
}

// openOutput opens the output before the run, so that a file that cannot be written is an error at once.
func (f *loadFlags) openOutput(stdout io.Writer) (io.WriteCloser, error) {
	if f.outputFile == "" {
		return nopCloser{stdout}, nil
	}
	file, err := os.Create(f.outputFile)
	if err != nil {
		return nil, &load.Error{Flag: "output-file", Problem: err.Error()}
	}
	return file, nil
}

// nopCloser is a writer that the caller of runLoad closes.
type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func writeResult(w io.Writer, r *load.Result, format string) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	case "html":
		return r.WriteHTML(w)
	}
	return r.WriteText(w)
}

// progressPrinter returns functions that write a line of progress, and clear it.
func progressPrinter(w io.Writer) (report func(load.Sample), clearLine func()) {
	write, clearLine := linePrinter(w)
	return func(s load.Sample) { write(s.Line()) }, clearLine
}

// linePrinter returns functions that write a line, and clear it. On a terminal each line overwrites the one before;
// elsewhere clearLine does nothing.
func linePrinter(w io.Writer) (write func(string), clearLine func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(line string) { _, _ = fmt.Fprintln(w, line) }, func() {}
	}
	const eraseLine = "\r\x1b[K"
	return func(line string) { _, _ = fmt.Fprint(w, eraseLine+line) }, func() { _, _ = fmt.Fprint(w, eraseLine) }
}

// workerCommand is the hidden command with which this program starts its worker processes.
const workerCommand = "load-worker"

func newWorkerCommand() *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	// The worker exits when its standard input ends, so it does not outlive this process.
	cmd := exec.Command(self, workerCommand) //nolint:noctx,gosec // see above; it runs this program again
	cmd.Stderr = os.Stderr
	return cmd
}

func newLoadWorkerCommand() *cobra.Command {
	return &cobra.Command{
		Use: workerCommand, Hidden: true, Args: cobra.NoArgs,
		Short: "Run a worker process of `wsfleet load`",
		RunE: func(*cobra.Command, []string) error {
			// Ctrl-C on a terminal signals all processes. The parent decides what the workers do.
			signal.Ignore(os.Interrupt)
			return load.ServeWorker(os.Stdin, os.Stdout)
		},
	}
}
