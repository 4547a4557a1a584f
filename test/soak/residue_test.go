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

// residue is what a gateway holds.
type residue struct {
	connections, channels, goroutines, files, heap float64
}

func residueOf(m process.Metrics) residue {
	return residue{
		connections: m[contract.MetricConnections], channels: m["websocket_channels"],
		goroutines: m["go_goroutines"], files: m["process_open_fds"], heap: m["go_memstats_heap_alloc_bytes"],
	}
}

const mib = 1 << 20

func (r residue) String() string {
	return fmt.Sprintf("%.0f connections, %.0f channels, %.0f goroutines, %.0f files, %.1f MiB heap", r.connections,
		r.channels, r.goroutines, r.files, r.heap/mib)
}

// scrapes is how often the heap is looked at for its least. Each look makes some garbage: among so many there is
// one soon after a collection.
const scrapes = 150

// look is what a gateway holds when it is left alone.
func look(ctx context.Context, g *process.Gateway) (residue, error) {
	var least residue
	for i := range scrapes {
		m, err := g.Metrics(ctx)
		if err != nil {
			return least, err
		}
		now := residueOf(m)
		if i == 0 {
			least = now
		}
		least = residue{
			connections: now.connections,
			channels:    now.channels,
			goroutines:  min(least.goroutines, now.goroutines),
			files:       min(least.files, now.files),
			heap:        min(least.heap, now.heap),
		}
	}
	return least, nil
}

// settle waits until no client is left, and tells what there is then.
func settle(t *testing.T, g *process.Gateway) residue {
	t.Helper()
	_, err := g.Await(t.Context(), func(m process.Metrics) bool {
		r := residueOf(m)
		return r.connections == 0 && r.channels == 0
	})
	require.NoError(t, err, "the clients of the warm-up are gone")
	r, err := look(t.Context(), g)
	require.NoError(t, err)
	return r
}

// slack is for what grows once and stays, such as a map's buckets. Tens of thousands of connections that left a hundred
// bytes each would be more.
const slack = mib

// left names what has not come back.
func left(before, after residue) error {
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

// returned waits until everything is as it was before.
func returned(ctx context.Context, g *process.Gateway, before residue) (after residue, err error) {
	for deadline := time.Now().Add(patience); ; {
		if after, err = look(ctx, g); err != nil {
			return after, err
		}
		if err = left(before, after); err == nil || time.Now().After(deadline) {
			return after, err
		}
	}
}

// compare is the table of before and after.
func compare(before, after residue) string {
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

func TestWhatDidNotComeBackIsNamed(t *testing.T) {
	before := residue{goroutines: 20, files: 15, heap: 8 * mib}
	require.NoError(t, left(before, before))
	require.NoError(t, left(before, residue{goroutines: 19, files: 15, heap: 8.5 * mib}))
	for what, after := range map[string]residue{
		"connections":   {connections: 1, goroutines: 20, files: 15, heap: 8 * mib},
		"channels":      {channels: 1, goroutines: 20, files: 15, heap: 8 * mib},
		"goroutines":    {goroutines: 21, files: 15, heap: 8 * mib},
		"files":         {goroutines: 20, files: 16, heap: 8 * mib},
		"bytes of heap": {goroutines: 20, files: 15, heap: 9.5 * mib},
	} {
		require.ErrorContains(t, left(before, after), what)
	}
}
