package gateway

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestUsageMeterMeasuresThisProcess(t *testing.T) {
	m := newUsageMeter()
	first := m.measure()
	require.Zero(t, first.CPU, "there was no time to measure in")
	require.Greater(t, first.RSS, int64(1<<20))
	require.Less(t, first.RSS, int64(64<<30))

	// As if the meter had been made a while ago, by a process that had used no processor.
	m.at, m.seconds = time.Now().Add(-10*time.Second), -5
	used := m.measure()
	require.Greater(t, used.CPU, 49.0)
	require.Less(t, used.CPU, 2000.0)
	require.InDelta(t, used.CPU, m.measure().CPU, 0, "kept until enough time has passed")
}
