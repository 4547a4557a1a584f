package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
)

// watchInterval is the time between two looks of `status --watch`.
const watchInterval = 2 * time.Second

// Control sequences of terminals (ECMA-48).
const (
	clearScreen = "\x1b[2J"
	cursorHome  = "\x1b[H"
	eraseLine   = "\x1b[K"
	eraseBelow  = "\x1b[J"
)

func newStatusCommand(f *fleetCommand) *cobra.Command {
	var (
		watch  bool
		output outputFormat
	)
	cmd := &cobra.Command{
		Use:   "status [CLUSTER]",
		Short: "Show a fleet and its gateways",
		Long: "Show a fleet: how many gateways serve, connections and capacity, the conditions that are not as they are\n" +
			"in a fleet at rest, and what each gateway does by its own report. Without CLUSTER, the only fleet of the\n" +
			"namespace is shown, or the list of all.",
		Example: fmt.Sprintf(`  %[1]s status
  %[1]s status chat --watch
  %[1]s status chat -o json | jq '.gateways[] | select(.state != "serving")'`, f.program),
		Args:              atMostOneCluster,
		ValidArgsFunction: f.completeClusters,
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withClient(func(client *fleetclient.Client) error {
				look := func(ctx context.Context) (document, error) { return readStatus(ctx, client, args) }
				if watch {
					w := watcher{out: cmd.OutOrStdout(), errOut: cmd.ErrOrStderr(), format: output}
					return watchStatus(cmd.Context(), &w, look)
				}
				status, err := look(cmd.Context())
				if err != nil {
					return err
				}
				return output.write(cmd.OutOrStdout(), status)
			})
		},
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false,
		"go on until interrupted: redraw a terminal every 2 s, and write anything else whenever something has changed")
	addOutputFlag(cmd, &output)
	return cmd
}

// readStatus returns the status of the fleet that the arguments name, of the only one, or the list of several.
func readStatus(ctx context.Context, client *fleetclient.Client, args []string) (document, error) {
	name, err := chooseCluster(ctx, client, args)
	if _, several := errors.AsType[severalError](err); several {
		clusters, err := client.Clusters(ctx)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says what it did
		}
		return fleetview.List(clusters), nil
	}
	if err != nil {
		return nil, err
	}
	observed, err := client.Observe(ctx, name)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it did
	}
	return fleetview.Status(observed), nil
}

// watchStatus writes what look returns until ctx ends, which is no error. It returns the error of the first look, and
// that of the output. An error of a later look is written, and the next look tries again.
func watchStatus(ctx context.Context, w *watcher, look func(context.Context) (document, error)) error {
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	for {
		next, err := look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && w.last == nil:
			return err
		case err != nil:
			err = w.failed(err)
		default:
			err = w.show(next)
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// watcher writes a document again and again.
type watcher struct {
	out, errOut io.Writer
	format      outputFormat
	// last is the document that was written last, and text is last as JSON.
	last document
	text []byte
	// failure is the error that was written last, and "" after a success.
	failure string
}

// show draws a document over the one before on a terminal, and elsewhere writes one that differs from the one before.
func (w *watcher) show(next document) error {
	text, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if width, height, ok := terminalSize(w.out); ok && w.format == outputTable {
		w.failure = ""
		return w.draw(next, width, height)
	}
	w.failure = ""
	if w.last != nil && bytes.Equal(w.text, text) {
		return nil
	}
	if w.last != nil && w.format == outputTable {
		if _, err := fmt.Fprintln(w.out); err != nil {
			return err //nolint:wrapcheck // the writer's own error
		}
	}
	w.last, w.text = next, text
	return w.format.write(w.out, next)
}

// failed writes that a look failed: below what is drawn on a terminal, and elsewhere once to the errors.
func (w *watcher) failed(failure error) error {
	same := w.failure == failure.Error()
	w.failure = failure.Error()
	if width, height, ok := terminalSize(w.out); ok && w.format == outputTable {
		return w.draw(w.last, width, height)
	}
	if same {
		return nil
	}
	_, err := fmt.Fprintln(w.errOut, "trying again: "+w.failure)
	return err //nolint:wrapcheck // the writer's own error
}

// draw draws a document over what was drawn before, without a moment in which the screen is empty.
func (w *watcher) draw(d document, width, height int) error {
	var text bytes.Buffer
	if err := d.WriteText(&text); err != nil {
		return err //nolint:wrapcheck // a buffer does not fail
	}
	if w.failure != "" {
		fmt.Fprintf(&text, "\nShown is an earlier state; trying again: %s\n", w.failure)
	}
	frame := bytes.ReplaceAll([]byte(fleetview.Fit(text.String(), width, height)), []byte("\n"), []byte(eraseLine+"\n"))
	begin := cursorHome
	if w.last == nil {
		begin = clearScreen + cursorHome
	}
	w.last = d
	_, err := fmt.Fprintf(w.out, "%s%s%s", begin, frame, eraseBelow)
	return err //nolint:wrapcheck // the writer's own error
}
