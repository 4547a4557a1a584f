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
)

// loadFlags are the flags that are not options of a run as they stand.
type loadFlags struct {
	protocol, sources, output, outputFile string
	header                                []string
	quiet                                 bool
}

func newLoad() *cobra.Command {
	o, f := load.Defaults(), &loadFlags{}
	cmd := &cobra.Command{
		Use:   "load SCENARIO URL",
		Short: "Put load on a gateway and say what arrived, when, and what it cost",
		Long:  "Open many connections to a gateway, publish through some of them, and say what arrived, when, and\nwhat it cost the server. A URL without a path gets that of the protocol.\n\nScenarios:\n" + scenarios(),
		Example: `  wsfleet load idle ws://127.0.0.1:8080 --clients 10000 --channels 1000 --server-pid 4242
  wsfleet load fanout ws://127.0.0.1:8080 --clients 5000 --window 16
  wsfleet load storm ws://127.0.0.1:8080 --clients 5000 --channels 500 --recover --rate 500
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
			return run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), o, f)
		},
	}
	bind(cmd.Flags(), &o, f)
	for flag, values := range map[string][]string{
		"protocol": {"plain", "centrifuge"},
		"output":   {"text", "json", "html"},
	} {
		// It fails for an unknown flag only.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
	return cmd
}

func scenarios() string {
	var b strings.Builder
	for _, s := range load.Scenarios() {
		fmt.Fprintf(&b, "  %-8s %s\n", s[0], s[1])
	}
	return b.String()
}

func bind(fs *pflag.FlagSet, o *load.Options, f *loadFlags) {
	fs.SortFlags = false
	fs.StringVar(&f.protocol, "protocol", string(o.Protocol), "what the clients `speak`: plain, centrifuge")
	fs.IntVar(&o.Clients, "clients", o.Clients, "`count` of clients")
	fs.IntVar(&o.Channels, "channels", o.Channels,
		"`count` of channels; each client is subscribed to one, in turn (direct: a channel per pair)")
	fs.StringVar(&o.ChannelPrefix, "channel-prefix", o.ChannelPrefix, "what channel names begin with, a `text`")
	fs.Float64Var(&o.Rate, "rate", o.Rate,
		"`messages` per second offered in all: an open loop (10 when --window is not given either)")
	fs.IntVar(&o.Window, "window", o.Window,
		"`messages` in flight in all: a closed loop; one is done when every subscriber has it")
	fs.IntVar(&o.MessageBytes, "message-bytes", o.MessageBytes, "size of a message's data in `bytes`")
	fs.DurationVar(&o.Duration, "duration", o.Duration, "`time` that is measured, of each step in a ramp")
	fs.DurationVar(&o.Warmup, "warmup", o.Warmup, "`time` before it, which is not")
	fs.DurationVar(&o.Hold, "hold", o.Hold, "idle: `time` to hold the connections and measure")
	fs.Float64Var(&o.ConnectRate, "connect-rate", o.ConnectRate,
		"`connections` per second; 0 = as fast as --connect-concurrency allows")
	fs.IntVar(&o.ConnectConcurrency, "connect-concurrency", o.ConnectConcurrency,
		"`handshakes` under way at once; 0 = 64, and when a storm comes back as many as there are clients")
	fs.StringVar(&f.sources, "sources", "",
		"`addresses` to connect from in turn, like 127.0.0.1-127.0.0.10,127.0.1.1 (default 127.0.0.1-127.0.0.10 to a loopback address)")
	fs.IntVar(&o.Processes, "processes", o.Processes, "`count` of processes; 0 = as many as file descriptors need")
	fs.DurationVar(&o.Timeout, "timeout", o.Timeout,
		"`time` that a client has to be subscribed, and that outstanding messages have")
	fs.DurationVar(&o.Jitter, "jitter", o.Jitter,
		"storm: `time` over which the reconnects are spread at random; 0 = all at once")
	fs.IntVar(&o.Cycles, "cycles", o.Cycles, "storm: `count` of storms")
	fs.BoolVar(&o.Recover, "recover", false,
		"storm: clients come back for what they missed; meanwhile one further connection per channel publishes")
	fs.IntVar(&o.StepClients, "step-clients", o.StepClients, "ramp: `clients` that a step adds; 0 = a tenth of --clients")
	fs.DurationVar(&o.MaxP99, "max-p99", o.MaxP99, "ramp: `latency` at which to end; 0 = none")
	fs.IntVar(&o.ServerPID, "server-pid", o.ServerPID, "process `id` of the server, to tell its CPU time and memory")
	fs.StringVar(&o.MetricsURL, "metrics-url", o.MetricsURL,
		"`URL` of the server's Prometheus metrics, for the same when it is elsewhere")
	fs.StringArrayVar(&f.header, "header", nil, "header of the handshake, `name=value`; may be given several times")
	fs.BoolVar(&o.InsecureSkipVerify, "insecure-skip-verify", false, "do not check the server's certificate")
	fs.StringVar(&f.output, "output", "text", "`format` of the result: text, json, html")
	fs.StringVar(&f.outputFile, "output-file", "", "`file` for the result instead of standard output")
	fs.BoolVar(&f.quiet, "quiet", false, "no progress on standard error")
}

// complete reads the flags that need reading.
func (f *loadFlags) complete(o *load.Options) (err error) {
	o.Protocol = load.Protocol(f.protocol)
	if f.output != "text" && f.output != "json" && f.output != "html" {
		return &load.Error{Flag: "output", Problem: fmt.Sprintf("unknown format %q: use text, json or html", f.output)}
	}
	if f.sources != "" {
		if o.Sources, err = load.ParseSources(f.sources); err != nil {
			return err
		}
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

// errFailed is a run whose result says what went wrong.
var errFailed = errors.New("")

func run(ctx context.Context, stdout, stderr io.Writer, o load.Options, f *loadFlags) error {
	if err := f.complete(&o); err != nil {
		return err
	}
	out, err := f.open(stdout)
	if err != nil {
		return err
	}
	around := load.Surroundings{Start: worker}
	clearLine := func() {}
	if !f.quiet {
		around.Progress, clearLine = progress(stderr)
	}
	result, err := load.Run(ctx, o, around)
	clearLine()
	if err == nil {
		err = write(out, result, f.output)
	}
	if err := errors.Join(err, out.Close()); err != nil {
		return err
	}
	if len(result.Failures) > 0 {
		return errFailed
	}
	return nil
}

// open finds out before the run whether its result can be written.
func (f *loadFlags) open(stdout io.Writer) (io.WriteCloser, error) {
	if f.outputFile == "" {
		return unclosed{stdout}, nil
	}
	file, err := os.Create(f.outputFile)
	if err != nil {
		return nil, &load.Error{Flag: "output-file", Problem: err.Error()}
	}
	return file, nil
}

// unclosed is a writer that somebody else closes.
type unclosed struct{ io.Writer }

func (unclosed) Close() error { return nil }

func write(w io.Writer, r *load.Result, format string) error {
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

// progress writes a line a second; on a terminal over the one before.
func progress(w io.Writer) (tell func(load.Sample), end func()) {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return func(s load.Sample) { _, _ = fmt.Fprintln(w, s.Line()) }, func() {}
	}
	const eraseLine = "\r\x1b[K"
	return func(s load.Sample) { _, _ = fmt.Fprint(w, eraseLine+s.Line()) }, func() { _, _ = fmt.Fprint(w, eraseLine) }
}

// workerCommand is what this program starts itself as.
const workerCommand = "load-worker"

func worker() *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	// It ends with its standard input, when this process does.
	cmd := exec.Command(self, workerCommand) //nolint:noctx // see above
	cmd.Stderr = os.Stderr
	return cmd
}

func newLoadWorker() *cobra.Command {
	return &cobra.Command{
		Use: workerCommand, Hidden: true, Args: cobra.NoArgs,
		Short: "Be one of the processes of `wsfleet load`",
		RunE: func(*cobra.Command, []string) error {
			// Ctrl-C reaches all processes of a terminal; the parent says what happens then.
			signal.Ignore(os.Interrupt)
			return load.ServeWorker(os.Stdin, os.Stdout)
		},
	}
}
