package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
)

func (a *app) status() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show what of a cluster runs; exit code 3 unless all does",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if output != "text" && output != "json" {
				return usageError{fmt.Errorf("--output %q: expected text or json", output)}
			}
			c, err := a.cluster()
			if err != nil {
				return err
			}
			s := c.Status(cmd.Context())
			if output == "json" {
				encoder := json.NewEncoder(cmd.OutOrStdout())
				encoder.SetIndent("", "  ")
				err = encoder.Encode(s)
			} else {
				err = writeStatus(cmd.OutOrStdout(), s)
			}
			if err != nil {
				return err
			}
			if s.State != cluster.StateRunning {
				return errNotRunning
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "text", "text or json")
	return cmd
}

func writeStatus(out io.Writer, s cluster.Status) error {
	var rows strings.Builder
	row := func(cells ...string) { rows.WriteString(strings.Join(cells, "\t") + "\n") }
	either := func(met bool, yes, no string) string {
		if met {
			return yes
		}
		return no
	}

	row("cluster", s.Name, string(s.State))
	if s.Server != "" {
		row("server", s.Server)
		row("kubeconfig", s.Kubeconfig)
	}
	if s.Netns != "" {
		row("network namespace", s.Netns)
		row("mode of kube-proxy", string(s.ProxyMode))
	}
	for _, n := range s.Nodes {
		row("node "+n.Name, n.Address+" in "+n.Netns, either(n.Ready, "Ready", "not Ready: "+n.Message))
	}
	for _, one := range s.Components {
		row(one.Name, either(one.Running, fmt.Sprintf("pid %d", one.PID), "stopped"))
	}
	for _, condition := range s.Conditions {
		row(condition.Name, either(condition.Met, "yes", "no: "+condition.Message))
	}
	for _, f := range s.Forwards {
		row("forward", f.Listen+" -> "+f.To, either(f.Running, "running", "stopped"))
	}

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if _, err := io.WriteString(w, rows.String()); err != nil {
		return err
	}
	return w.Flush()
}
