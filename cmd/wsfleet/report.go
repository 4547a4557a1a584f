package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetclient"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/fleetview"
	"github.com/wsfleet/wsfleet/cmd/wsfleet/internal/support"
)

// reportMode is the mode of an archive, which only its owner may read.
const reportMode = 0o600

func newReportCommand(f *fleetCommand) *cobra.Command {
	var (
		file   string
		output outputFormat
	)
	cmd := &cobra.Command{
		Use:   "report [CLUSTER]",
		Short: "Write what there is to know of a fleet into an archive, for a question or a bug report",
		Long: "Write an archive (tar.gz) with the fleet's object, its Deployment, HorizontalPodAutoscaler, pods and\n" +
			"events, the reports of its gateways, the output of `status` and `explain`, and the versions. No Secret is in\n" +
			"it. Values of environment variables and headers, and passwords and queries of URLs, are removed. What cannot\n" +
			"be read is listed and left out.",
		Example: fmt.Sprintf(`  %[1]s report chat
  %[1]s report chat --file chat.tar.gz`, f.program),
		Args:              atMostOneCluster,
		ValidArgsFunction: f.completeClusters,
		PreRunE:           func(cmd *cobra.Command, _ []string) error { return noEmptyValue(cmd, "file") },
		RunE: func(cmd *cobra.Command, args []string) error {
			return f.withFleet(cmd.Context(), args, func(client *fleetclient.Client, cluster string) error {
				report, err := makeReport(cmd.Context(), client, cluster, time.Now())
				if err != nil {
					return err
				}
				if report.Path = file; file == "" {
					report.Path = report.FileName()
				}
				if err := saveReport(report); err != nil {
					return err
				}
				return output.write(cmd.OutOrStdout(), report)
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "`path` of the archive, which must not exist (default by the fleet and time)")
	addOutputFlag(cmd, &output)
	return cmd
}

// makeReport reads what there is to know of a fleet. It returns an error when the fleet itself cannot be read, and when
// ctx ends.
func makeReport(
	ctx context.Context, client *fleetclient.Client, cluster string, now time.Time,
) (*support.Report, error) {
	report := support.NewReport(fmt.Sprintf("wsfleet-%s-%s", cluster, now.UTC().Format("20060102-150405")), now)
	objects, err := client.Objects(ctx, cluster)
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it did
	}
	for _, object := range objects {
		if object.Err != nil {
			report.AddMissing(object.Name+".yaml", object.Err)
			continue
		}
		report.AddObject(object.Name+".yaml", object.Value)
	}
	addGateways(ctx, client, cluster, report)
	addViews(ctx, client, cluster, report)
	addVersions(client, report)
	return report, ctx.Err() //nolint:wrapcheck // the user's own interrupt
}

// addGateways adds what each gateway reports.
func addGateways(ctx context.Context, client *fleetclient.Client, cluster string, report *support.Report) {
	answers, err := client.GatewayReports(ctx, cluster)
	if err != nil {
		report.AddMissing("gateways", err)
	}
	for _, answer := range answers {
		name := "gateways/" + answer.Pod.Name + ".yaml"
		if answer.Err != nil {
			report.AddMissing(name, answer.Err)
			continue
		}
		report.AddObject(name, answer.Report)
	}
}

// addViews adds what `status` and `explain` say.
func addViews(ctx context.Context, client *fleetclient.Client, cluster string, report *support.Report) {
	observed, err := client.Observe(ctx, cluster)
	if err == nil {
		addText(report, "status.txt", fleetview.Status(observed))
		if observed.NotAsked != "" {
			err = errors.New(observed.NotAsked)
		}
	} else {
		report.AddMissing("status.txt", err)
	}
	if err != nil {
		report.AddMissing("explain.txt", err)
		return
	}
	addText(report, "explain.txt", fleetview.Explain(observed))
}

// addText adds the text of a document.
func addText(report *support.Report, name string, d document) {
	var text strings.Builder
	_ = d.WriteText(&text) // a builder does not fail
	report.AddText(name, text.String())
}

// addVersions adds the versions of this program and of the API server. Those of the gateways are in their reports.
func addVersions(client *fleetclient.Client, report *support.Report) {
	versions := map[string]string{"wsfleet": releaseVersion()}
	server, err := client.ServerVersion()
	if err != nil {
		report.AddMissing("version of the API server", err)
	} else {
		versions["kubernetes"] = server
	}
	report.AddObject("versions.yaml", versions)
}

// saveReport writes the archive to its path. It returns an error when there is a file already, or it cannot be written.
func saveReport(report *support.Report) error {
	file, err := os.OpenFile(report.Path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, reportMode)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("--file: %s exists: remove it, or give another path", report.Path)
	}
	if err != nil {
		return fmt.Errorf("--file: %w", err)
	}
	if err = errors.Join(report.Write(file), file.Close()); err != nil {
		// What is there is no archive.
		_ = os.Remove(report.Path)
		return fmt.Errorf("write %s: %w", report.Path, err)
	}
	return nil
}
