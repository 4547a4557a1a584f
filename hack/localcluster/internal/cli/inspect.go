package cli

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
)

func (a *app) logs() *cobra.Command {
	var follow bool
	var lines int
	cmd := &cobra.Command{
		Use:   "logs [COMPONENT]",
		Short: "Show what a component has said, or all of them",
		Args:  cobra.MaximumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			c, err := a.cluster()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			return c.ComponentNames(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			return showLogs(cmd, c, args, lines, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as more is said")
	cmd.Flags().IntVarP(&lines, "lines", "n", 100, "how many lines from the end; -1 for all")
	return cmd
}

// showLogs runs tail, which follows files that grow and that are replaced when a component restarts.
func showLogs(cmd *cobra.Command, c *cluster.Cluster, names []string, lines int, follow bool) error {
	for _, name := range names {
		if err := c.CheckComponent(name); err != nil {
			return usageError{err}
		}
	}
	if len(names) == 0 {
		names = c.ComponentNames()
	}
	var files []string
	for _, name := range names {
		if _, err := os.Stat(c.LogFile(name)); err == nil {
			files = append(files, c.LogFile(name))
		}
	}
	if len(files) == 0 {
		return fmt.Errorf("cluster %s has no logs: it has not been started; run `localcluster up --name %s`", c.Name, c.Name)
	}
	args := []string{"--lines", strconv.Itoa(lines)}
	if lines < 0 {
		args = []string{"--lines", "+1"}
	}
	if follow {
		args = append(args, "--follow=name", "--retry")
	}
	tail := exec.CommandContext(cmd.Context(), "tail", append(args, files...)...)
	tail.Stdout, tail.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
	tail.WaitDelay = time.Second
	if err := tail.Run(); err != nil && cmd.Context().Err() == nil {
		return fmt.Errorf("tail: %w", err)
	}
	return nil
}

func (a *app) kubeconfig() *cobra.Command {
	var path bool
	cmd := &cobra.Command{
		Use:     "kubeconfig",
		Short:   "Print the administrator's kubeconfig, or where it is",
		Example: "  export KUBECONFIG=$(localcluster kubeconfig --path)",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.cluster()
			if err != nil {
				return err
			}
			data, err := os.ReadFile(c.Kubeconfig())
			if err != nil {
				return fmt.Errorf("cluster %s has no kubeconfig yet; run `localcluster up --name %s`", c.Name, c.Name)
			}
			if path {
				data = []byte(c.Kubeconfig() + "\n")
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
	cmd.Flags().BoolVar(&path, "path", false, "print the file's path instead of its content")
	return cmd
}
