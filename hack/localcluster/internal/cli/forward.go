package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/hack/localcluster/internal/cluster"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/forward"
	"github.com/wsfleet/wsfleet/hack/localcluster/internal/sandbox"
)

// passed is the first descriptor that a process inherits besides the three standard ones.
const passed = 3

func (a *app) forward() *cobra.Command {
	var want cluster.Forward
	var background bool
	cmd := &cobra.Command{
		Use:   "forward --to HOST:PORT",
		Short: "Carry connections from a port of this machine into a cluster",
		Long: `Listens on this machine and connects what arrives to HOST:PORT as seen from the cluster's node: the
address of a Service or of a pod, or a Service's name such as web.default.svc. The address it listens at is
printed. With --background it goes on until the cluster is taken down, or until another forward is asked for
at the same address, and comes back when the cluster does.`,
		Example: "  localcluster forward --listen 127.0.0.1:8080 --to web.default.svc:80 --background",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := forward.CheckTarget(want.To); err != nil {
				return usageError{err}
			}
			if err := cluster.CheckMachine(); err != nil {
				return err
			}
			c, err := a.cluster()
			if err != nil {
				return err
			}
			if background {
				got, err := c.StartForward(cmd.Context(), want)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), got.Listen)
				return err
			}
			return carry(cmd, c, want)
		},
	}
	cmd.Flags().StringVar(&want.To, "to", "", "HOST:PORT inside the cluster")
	cmd.Flags().StringVar(&want.Listen, "listen", "127.0.0.1:0", "IP:PORT of this machine; port 0 is any free one")
	cmd.Flags().BoolVar(&background, "background", false, "return at once and leave the forward behind")
	return cmd
}

// carry forwards connections until the command is interrupted.
func carry(cmd *cobra.Command, c *cluster.Cluster, want cluster.Forward) error {
	if err := c.CheckRunning(); err != nil {
		return err
	}
	listener, err := cluster.Listen(cmd.Context(), want.Listen)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(cmd.OutOrStdout(), listener.Addr()); err != nil {
		return errors.Join(err, listener.Close())
	}
	dial := func(ctx context.Context, _, address string) (net.Conn, error) {
		return sandbox.Dial(ctx, c.Netns(), address)
	}
	return serve(cmd, listener, want.To, dial)
}

// forwardWorker returns the hidden command that `forward --background` starts. It runs inside the cluster's network
// namespace and inherits a listener from outside.
func forwardWorker() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:    cluster.ForwardCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file := os.NewFile(passed, "listener")
			listener, err := net.FileListener(file)
			if err != nil {
				return fmt.Errorf("%s is started by `localcluster forward --background`: %w", cluster.ForwardCommand, err)
			}
			if err := file.Close(); err != nil {
				return err
			}
			return serve(cmd, listener, to, new(net.Dialer).DialContext)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "HOST:PORT inside the cluster")
	return cmd
}

func serve(cmd *cobra.Command, listener net.Listener, to string, dial forward.Dialer) error {
	f := &forward.Forwarder{
		To:   to,
		Dial: forward.Resolving(dial, cluster.DNSAddress, cluster.DNSDomain),
		Log:  slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)),
	}
	return f.Serve(cmd.Context(), listener)
}

// holdMounts returns the hidden command whose mount namespace a cluster's components share.
func holdMounts() *cobra.Command {
	var asked []string
	cmd := &cobra.Command{
		Use:    cluster.HoldCommand,
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			var binds []sandbox.Bind
			for _, s := range asked {
				bind, err := sandbox.ParseBind(s)
				if err != nil {
					return err
				}
				binds = append(binds, bind)
			}
			return sandbox.HoldMounts(binds, os.NewFile(passed, "ready"))
		},
	}
	cmd.Flags().StringArrayVar(&asked, "bind", nil, "SOURCE=TARGET")
	return cmd
}
