// Package interop runs client stacks as their users install them against gateways behind HAProxy, and writes down what
// their applications see when a gateway sends them away, and after what they come back. The clients are in the
// adapters: a program for each language, which the suite tells what to do.
package interop

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain runs the adapter for Go instead of the tests when the suite has started this program as that.
func TestMain(m *testing.M) {
	if os.Getenv(envGoAdapter) != "" {
		os.Exit(runGoAdapter(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

// selected returns the stacks that this run has: those that INTEROP names, all for INTEROP=all, and those that are
// quick to install otherwise.
func selected() []*stack {
	chosen := os.Getenv("INTEROP")
	var out []*stack
	for i := range stacks {
		s := &stacks[i]
		switch chosen {
		case "all":
			out = append(out, s)
		case "":
			if s.short {
				out = append(out, s)
			}
		default:
			for name := range strings.SplitSeq(chosen, ";") {
				if s.name == name {
					out = append(out, s)
				}
			}
		}
	}
	return out
}

func TestInterop(t *testing.T) {
	run := selected()
	require.NotEmpty(t, run, "INTEROP names no stack of stacks_test.go")
	h := newHarness(t, run)
	results := make([]result, len(run))
	var all sync.WaitGroup
	for i, s := range run {
		all.Go(func() {
			t.Run(s.name, func(t *testing.T) {
				// A stack that fails does not hold up the drain that the others wait for.
				joined := sync.OnceFunc(h.joined.Done)
				defer joined()
				results[i] = h.perform(t, s, joined)
			})
		})
	}
	all.Wait()
	if !t.Failed() {
		compareTables(t, results)
	}
}
