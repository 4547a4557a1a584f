package integration

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refreshAfter is the age after which a number of connections is written although it has hardly changed.
const refreshAfter = 15 * time.Second

// The number of connections changes all the time. The status must not be written as often.
func TestStatusIsWrittenSeldom(t *testing.T) {
	t.Parallel()
	o := startOperator(t)
	f := createFleet(t, o.namespace, "fleet", "redis: {external: {addresses: ['r:6379']}}")
	g := startFakeGateways(t, f, 1)[0]
	awaitConnections := func(connections int) {
		t.Helper()
		f.eventually(func(t *assert.CollectT) { assert.EqualValues(t, connections, f.get(t).Status.Connections) })
	}
	setConnections := func(connections int) { g.report(func(r *report) { r.Connections = connections }) }

	start := time.Now()
	setConnections(1000)
	awaitConnections(1000)
	o.awaitQuiet()
	// written returns what the API server has taken. A status that was made from a cache that lags behind conflicts, and
	// is made again.
	written := func() []write {
		return slices.DeleteFunc(writesBy(t, operatorUser, o.namespace),
			func(w write) bool { return w.Status.Code == http.StatusConflict })
	}
	before := len(written())
	// requireSeldom allows one write for each refreshAfter since the start, however slow the machine is, and besides some
	// more.
	requireSeldom := func(besides int) {
		t.Helper()
		wrote := written()[before:]
		require.LessOrEqual(t, len(wrote), int(time.Since(start)/refreshAfter)+besides, "%+v", wrote)
	}

	// Small changes that never add up to 5 %.
	for step := range 10 {
		setConnections(1001 + step)
		g.awaitScrapes(2)
	}
	requireSeldom(0)

	// More than 5 % shows at once: not one of these waits for the age of the one before.
	far := []int{1200, 1400, 1600, 1800, 2000}
	var reported time.Time
	jumped := time.Now()
	for _, connections := range far {
		reported = time.Now()
		setConnections(connections)
		awaitConnections(connections)
	}
	require.Less(t, time.Since(jumped), time.Duration(len(far)-1)*refreshAfter, "they were written for their age")
	requireSeldom(len(far))

	// Less than that shows when the count is old. The wait is the rule itself.
	setConnections(2001)
	awaitConnections(2001)
	require.GreaterOrEqual(t, time.Since(reported), refreshAfter)
}
