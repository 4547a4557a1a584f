//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPodsRunWithoutRestarts(t *testing.T) {
	awaitServing(t, replicas)
	out := strings.TrimSpace(run(t, "get", "pods", "-o",
		`jsonpath={range .items[*]}{.metadata.name} {.status.phase} {.status.containerStatuses[0].restartCount}{"\n"}{end}`))
	lines := strings.Split(out, "\n")
	if len(lines) != replicas+1 {
		t.Errorf("%d pods, want %d gateways and one Redis:\n%s", len(lines), replicas, out)
	}
	for _, line := range lines {
		if !strings.HasSuffix(line, " Running 0") {
			t.Errorf("want a pod that runs and never restarted: %s", line)
		}
	}
}

func TestGetShowsTheColumns(t *testing.T) {
	awaitServing(t, replicas)
	eventually(t, time.Minute, "all conditions hold", func() error {
		_, err := kube.Run(t.Context(), "wait", "--timeout=1s", "websocketcluster/"+clusterName,
			"--for=condition=Available", "--for=condition=BackplaneReady", "--for=condition=SpecAccepted")
		return err
	})
	out := run(t, "get", "websocketclusters")
	t.Logf("kubectl get websocketclusters\n%s", out)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if want := strings.Fields("NAME READY CONNECTIONS CAPACITY DRAINING AVAILABLE URL AGE"); !slices.Equal(
		strings.Fields(lines[0]), want) {
		t.Errorf("columns are %v, want %v", strings.Fields(lines[0]), want)
	}
	row := strings.Fields(lines[1])
	if want := strings.Fields("fleet 3/3 0 30000 0 True"); len(row) != 8 || !slices.Equal(row[:6], want) {
		t.Errorf("row is %v, want it to begin with %v", row, want)
	}
	wide := run(t, "get", "wsc", "-o", "wide")
	t.Logf("kubectl get wsc -o wide\n%s", wide)
	for _, column := range []string{"IMAGE", "REDIS", "METRICS", "PROFILE"} {
		if !strings.Contains(wide, column) {
			t.Errorf("-o wide has no column %s", column)
		}
	}
}
