package integration

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refreshAfter is the age at which a count is written although it has hardly moved.
const refreshAfter = 15 * time.Second

// Counts of clients change all the time; the status must not become the loudest writer in the
// cluster for that.
func TestStatusIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "redis: {external: {addresses: ['r:6379']}}")
	g := startGateways(t, f, 1)[0]
	shows := func(connections int) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, connections, f.get(t).Status.Connections) })
	}
	says := func(connections int) { g.report(func(r *report) { r.Connections = connections }) }

	start := time.Now()
	says(1000)
	shows(1000)
	o.awaitQuiet()
	before := len(writesBy(t, operatorUser, o.namespace))
	// requireSeldom allows a write for each time that the count may have grown old, however slow the
	// machine is, and some besides.
	requireSeldom := func(besides int) {
		t.Helper()
		wrote := len(writesBy(t, operatorUser, o.namespace)[before:])
		require.LessOrEqual(t, wrote, int(time.Since(start)/refreshAfter)+besides)
	}

	// Small steps that never add up to 5 %.
	for step := range 10 {
		says(1001 + step)
		g.awaitScrapes(2)
	}
	requireSeldom(0)

	// More than 5 % shows at once: not one of these waits for the age of the one before.
	far := []int{1200, 1400, 1600, 1800, 2000}
	var told time.Time
	jumped := time.Now()
	for _, connections := range far {
		told = time.Now()
		says(connections)
		shows(connections)
	}
	require.Less(t, time.Since(jumped), time.Duration(len(far)-1)*refreshAfter, "they were written for their age")
	requireSeldom(len(far))

	// Less than that shows when the count is old. The wait is the rule itself.
	says(2001)
	shows(2001)
	require.GreaterOrEqual(t, time.Since(told), refreshAfter)
}
