package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
)

// completionTimeout bounds the request to the API server for names that complete a command line.
const completionTimeout = 3 * time.Second

// fleetCommand holds what all commands about fleets share.
type fleetCommand struct {
	// program is how a user calls the commands, for examples: "kubectl wsc" or "wsfleet fleet".
	program    string
	kubeconfig string
	overrides  clientcmd.ConfigOverrides
}

// newFleetCommand returns the commands about fleets, below `wsfleet`.
func newFleetCommand() *cobra.Command {
	return newFleetCommandAs("fleet", "wsfleet fleet")
}

// newPluginCommand returns the commands about fleets as the plugin of kubectl.
func newPluginCommand() *cobra.Command {
	root := newFleetCommandAs("kubectl-wsc", "kubectl wsc")
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl wsc"}
	// The shell completes by kubectl's own script, which runs kubectl_complete-wsc.
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(newVersionCommand())
	prepareRoot(root)
	return root
}

func newFleetCommandAs(use, program string) *cobra.Command {
	f := &fleetCommand{program: program}
	cmd := &cobra.Command{
		Use:   use,
		Short: "Look at the fleets of a Kubernetes cluster, drain their gateways and reach their clients",
		Long: "Look at the fleets of a Kubernetes cluster, drain their gateways and reach their clients.\n\n" +
			"The commands act with your own rights: they read the fleet's objects and its admin Secret, and reach the\n" +
			"private port of gateways by port-forwards.",
		Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	f.addFlags(cmd.PersistentFlags())
	_ = cmd.RegisterFlagCompletionFunc("context", f.completeContexts)
	cmd.AddCommand(newStatusCommand(f), newDrainCommand(f), newUndrainCommand(f), newExplainCommand(f),
		newRebalanceCommand(f), newConnectionsCommand(f), newDisconnectCommand(f), newPublishCommand(f), newTailCommand(f),
		newReportCommand(f))
	return cmd
}

func (f *fleetCommand) addFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&f.overrides.Context.Namespace, "namespace", "n", "",
		"`namespace` of the fleet (default that of the kubeconfig's context)")
	flags.StringVar(&f.overrides.CurrentContext, "context", "", "`context` of the kubeconfig (default its current one)")
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "kubeconfig `file` (default KUBECONFIG, or ~/.kube/config)")
}

// config returns the cluster and the namespace that the flags and the kubeconfig choose.
func (f *fleetCommand) config() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &f.overrides)
}

// connect returns a client of the cluster that the flags and the kubeconfig choose. It returns an error when they
// choose none.
func (f *fleetCommand) connect() (*fleetclient.Client, error) {
	// Messages of the libraries would be drawn into the tables. What matters comes as an error too.
	klog.SetLogger(logr.Discard())
	ctrllog.SetLogger(logr.Discard())
	config := f.config()
	rest, err := config.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("there is no kubeconfig that names a cluster: give --kubeconfig, or set KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace, _, err := config.Namespace()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	return fleetclient.New(rest, namespace) //nolint:wrapcheck // it says what it did
}

// withClient lets act use a client of the cluster that the flags and the kubeconfig choose, and returns its error. It
// returns an error when they choose none.
func (f *fleetCommand) withClient(act func(*fleetclient.Client) error) error {
	client, err := f.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	return act(client)
}

// withFleet is withClient for what needs one fleet: that which args name, or the only one of the namespace. It returns
// the errors of chooseCluster too.
func (f *fleetCommand) withFleet(
	ctx context.Context, args []string, act func(client *fleetclient.Client, name string) error,
) error {
	return f.withClient(func(client *fleetclient.Client) error {
		name, err := chooseCluster(ctx, client, args)
		if err != nil {
			return err
		}
		return act(client, name)
	})
}

// completeContexts completes the names of the kubeconfig's contexts.
func (f *fleetCommand) completeContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	raw, err := f.config().RawConfig()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	names := make([]string, 0, len(raw.Contexts))
	for name := range raw.Contexts {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeClusters completes the name of a fleet, the only argument.
func (f *fleetCommand) completeClusters(
	cmd *cobra.Command, args []string, _ string,
) ([]string, cobra.ShellCompDirective) {
	return f.complete(cmd, args, func(ctx context.Context, client *fleetclient.Client) (names []string, err error) {
		clusters, err := client.Clusters(ctx)
		for i := range clusters {
			names = append(names, clusters[i].Name+"\t"+clusters[i].Status.Ready+" ready")
		}
		return names, err //nolint:wrapcheck // only whether it failed matters
	})
}

// completePods completes the name of a gateway pod, the only argument.
func (f *fleetCommand) completePods(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	return f.complete(cmd, args, func(ctx context.Context, client *fleetclient.Client) (names []string, err error) {
		pods, err := client.AllPods(ctx)
		for i := range pods {
			names = append(names, pods[i].Name+"\ton node "+pods[i].Spec.NodeName)
		}
		return names, err //nolint:wrapcheck // only whether it failed matters
	})
}

// completePodFlag completes the value of a flag that is the name of a gateway pod, of the fleet that the first argument
// names or of any.
func (f *fleetCommand) completePodFlag(
	cmd *cobra.Command, args []string, _ string,
) ([]string, cobra.ShellCompDirective) {
	return f.complete(cmd, nil, func(ctx context.Context, client *fleetclient.Client) (names []string, err error) {
		pods, err := client.AllPods(ctx)
		for i := range pods {
			if len(args) == 0 || fleetclient.ClusterOf(&pods[i]) == args[0] {
				names = append(names, pods[i].Name+"\ton node "+pods[i].Spec.NodeName)
			}
		}
		return names, err //nolint:wrapcheck // only whether it failed matters
	})
}

// complete returns the names that list reads for the first argument.
func (f *fleetCommand) complete(
	cmd *cobra.Command, args []string, list func(context.Context, *fleetclient.Client) ([]string, error),
) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	var names []string
	err := f.withClient(func(client *fleetclient.Client) (err error) {
		names, err = list(ctx, client)
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// severalError is the error of a command that needs one fleet in a namespace that has several.
type severalError struct {
	namespace string
	names     []string
}

func (e severalError) Error() string {
	return fmt.Sprintf("namespace %s has several fleets: name one of %s", e.namespace, strings.Join(e.names, ", "))
}

// chooseCluster returns the fleet that the arguments name, or the only one of the namespace. It returns a usageError
// with a severalError when there are several, and another error when there is none or the list cannot be read.
func chooseCluster(ctx context.Context, client *fleetclient.Client, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	clusters, err := client.Clusters(ctx)
	if err != nil {
		return "", err //nolint:wrapcheck // it says what it did
	}
	names := make([]string, 0, len(clusters))
	for i := range clusters {
		names = append(names, clusters[i].Name)
	}
	slices.Sort(names)
	switch len(names) {
	case 0:
		return "", fmt.Errorf("there is no fleet in namespace %s: give another one with -n", client.Namespace())
	case 1:
		return names[0], nil
	}
	return "", usageError{severalError{client.Namespace(), names}}
}

// noSubcommand refuses arguments of a command that has only subcommands.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unknown command %q; see `%s --help`", args[0], cmd.CommandPath())}
	}
	return nil
}

// atMostOneCluster refuses more than one argument.
func atMostOneCluster(cmd *cobra.Command, args []string) error {
	if len(args) > 1 {
		return usageError{fmt.Errorf("name one fleet at most, like: %s chat", cmd.CommandPath())}
	}
	return nil
}

// onePod refuses anything but one argument.
func onePod(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("name one gateway pod, like: %s chat-gateway-7d4b9c6f5-x2x7p", cmd.CommandPath())}
	}
	return nil
}

// outputFormat is the format of a command's result: table, json or yaml.
type outputFormat string

const (
	outputTable outputFormat = "table"
	outputJSON  outputFormat = "json"
	outputYAML  outputFormat = "yaml"
)

// String returns the name of the format.
func (o *outputFormat) String() string { return string(*o) }

// Set sets the format by its name. It returns an error when there is no such format.
func (o *outputFormat) Set(name string) error {
	if !slices.Contains([]outputFormat{outputTable, outputJSON, outputYAML}, outputFormat(name)) {
		return errors.New("use table, json or yaml")
	}
	*o = outputFormat(name)
	return nil
}

// Type returns what help calls the value.
func (o *outputFormat) Type() string { return "format" }

// addOutputFlag adds the flag for the format of the result.
func addOutputFlag(cmd *cobra.Command, format *outputFormat) {
	*format = outputTable
	cmd.Flags().VarP(format, "output", "o", "`format` of the result: table, json, yaml")
	// It fails only for a flag that is not defined.
	_ = cmd.RegisterFlagCompletionFunc("output",
		cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

// document is the result of a command.
type document interface {
	// WriteText writes the document for a person to read. It returns the error of the writer.
	WriteText(w io.Writer) error
}

// write writes a document in the format. It returns the error of w.
func (o outputFormat) write(w io.Writer, d document) error {
	if o == outputTable {
		return d.WriteText(w) //nolint:wrapcheck // the writer's own error
	}
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	text = append(text, '\n')
	if o == outputYAML {
		if text, err = yaml.JSONToYAML(text); err != nil {
			return fmt.Errorf("print the result: %w", err)
		}
		text = append([]byte("---\n"), text...)
	}
	_, err = w.Write(text)
	return err //nolint:wrapcheck // the writer's own error
}

// terminalSize returns the size of the terminal that w is, and false when it is none.
func terminalSize(w io.Writer) (width, height int, ok bool) {
	file, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return 0, 0, false
	}
	width, height, err := term.GetSize(int(file.Fd()))
	return width, height, err == nil
}
