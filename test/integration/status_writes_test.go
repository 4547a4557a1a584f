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

	says(1000)
	shows(1000)
	o.awaitQuiet()
	shown := time.Now()
	before := len(writesBy(t, operatorUser, o.namespace))

	// Small steps that never add up to 5 %.
	for step := range 10 {
		says(1001 + step%40)
		g.awaitScrapes(2)
	}
	require.Less(t, time.Since(shown), refreshAfter, "the machine is too slow for this test to tell anything")
	require.Empty(t, writesBy(t, operatorUser, o.namespace)[before:])
	require.EqualValues(t, 1000, f.get(t).Status.Connections)

	// 5 % shows at once.
	says(1050)
	shows(1050)
	require.Less(t, time.Since(shown), refreshAfter, "it was written for its age")

	// Less than that shows when the count is old. The wait is the rule itself.
	shown = time.Now()
	says(1051)
	shows(1051)
	require.Greater(t, time.Since(shown), refreshAfter-2*time.Second)
}
