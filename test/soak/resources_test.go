package soak

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/internal/contract"
	"github.com/wsfleet/wsfleet/test/process"
)

// resources are the numbers of things that a gateway holds.
type resources struct {
	connections, channels, goroutines, files, heap float64
}

func resourcesOf(m process.Metrics) resources {
	return resources{
		connections: m[contract.MetricConnections], channels: m["websocket_channels"],
		goroutines: m["go_goroutines"], files: m["process_open_fds"], heap: m["go_memstats_heap_alloc_bytes"],
	}
}

const mib = 1 << 20

func (r resources) String() string {
	return fmt.Sprintf("%.0f connections, %.0f channels, %.0f goroutines, %.0f files, %.1f MiB heap", r.connections,
		r.channels, r.goroutines, r.files, r.heap/mib)
}

// scrapes is how often lowestResources reads the metrics. Each read makes some garbage, so that some reads follow soon
// after a garbage collection.
const scrapes = 150

// lowestResources returns the lowest resources over many reads of the metrics.
func lowestResources(ctx context.Context, g *process.Gateway) (resources, error) {
	var lowest resources
	for i := range scrapes {
		m, err := g.Metrics(ctx)
		if err != nil {
			return lowest, err
		}
		now := resourcesOf(m)
		if i == 0 {
			lowest = now
		}
		lowest = resources{
			connections: now.connections,
			channels:    now.channels,
			goroutines:  min(lowest.goroutines, now.goroutines),
			files:       min(lowest.files, now.files),
			heap:        min(lowest.heap, now.heap),
		}
	}
	return lowest, nil
}

// idleResources waits until no client is connected, and returns what the gateway holds then.
func idleResources(t *testing.T, g *process.Gateway) resources {
	t.Helper()
	_, err := g.Await(t.Context(), func(m process.Metrics) bool {
		r := resourcesOf(m)
		return r.connections == 0 && r.channels == 0
	})
	require.NoError(t, err, "the clients of the warm-up are gone")
	r, err := lowestResources(t.Context(), g)
	require.NoError(t, err)
	return r
}

// slack is the number of bytes by which the heap may grow, for what grows once and stays, such as a map's buckets. A
// leak of a hundred bytes in each of tens of thousands of connections would be more.
const slack = mib

// leftover returns an error that names the resources that the gateway has not released.
func leftover(before, after resources) error {
	var errs []error
	missing := func(what string, was, is, allowed float64) {
		if is > was+allowed {
			errs = append(errs, fmt.Errorf("%s did not come back: %.0f, before %.0f", what, is, was))
		}
	}
	missing("connections", 0, after.connections, 0)
	missing("channels", 0, after.channels, 0)
	missing("goroutines", before.goroutines, after.goroutines, 0)
	missing("files", before.files, after.files, 0)
	missing("bytes of heap", before.heap, after.heap, slack)
	return errors.Join(errs...)
}

// awaitReturn waits until the gateway holds no more than before.
func awaitReturn(ctx context.Context, g *process.Gateway, before resources) (after resources, err error) {
	for deadline := time.Now().Add(timeout); ; {
		if after, err = lowestResources(ctx, g); err != nil {
			return after, err
		}
		if err = leftover(before, after); err == nil || time.Now().After(deadline) {
			return after, err
		}
	}
}

// table returns the resources before and after as a table.
func table(before, after resources) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s%12s%12s", "", "before", "after")
	for _, row := range []struct {
		what      string
		was, is   float64
		precision int
	}{
		{"connections", before.connections, after.connections, 0},
		{"channels", before.channels, after.channels, 0},
		{"goroutines", before.goroutines, after.goroutines, 0},
		{"files", before.files, after.files, 0},
		{"heap (MiB)", before.heap / mib, after.heap / mib, 2},
	} {
		fmt.Fprintf(&b, "\n%-14s%12.*f%12.*f", row.what, row.precision, row.was, row.precision, row.is)
	}
	return b.String()
}

func TestLeftoverNamesResources(t *testing.T) {
	before := resources{goroutines: 20, files: 15, heap: 8 * mib}
	require.NoError(t, leftover(before, before))
	require.NoError(t, leftover(before, resources{goroutines: 19, files: 15, heap: 8.5 * mib}))
	for what, after := range map[string]resources{
		"connections":   {connections: 1, goroutines: 20, files: 15, heap: 8 * mib},
		"channels":      {channels: 1, goroutines: 20, files: 15, heap: 8 * mib},
		"goroutines":    {goroutines: 21, files: 15, heap: 8 * mib},
		"files":         {goroutines: 20, files: 16, heap: 8 * mib},
		"bytes of heap": {goroutines: 20, files: 15, heap: 9.5 * mib},
	} {
		require.ErrorContains(t, leftover(before, after), what)
	}
}
