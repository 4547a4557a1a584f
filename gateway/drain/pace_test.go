package drain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/wsfleet/wsfleet/gateway/drain"
)

// simulate follows a pace from its start, and returns when each connection is closed.
func simulate(p drain.Pace, start time.Time, connections int) (closed []time.Time, forced int) {
	now := start
	for connections > 0 {
		step := p.Next(now, connections)
		for range step.Close {
			closed = append(closed, now)
		}
		if step.Forced {
			forced += step.Close
		}
		connections -= step.Close
		now = now.Add(step.Wait)
	}
	return closed, forced
}

func TestPaceSpreadsConnectionsOverTheWholeDrain(t *testing.T) {
	start := time.Unix(0, 0)
	for _, connections := range []int{1, 2, 10, 300, 10_000, 19_000, 1_000_000} {
		p := drain.Pace{From: start.Add(10 * time.Second), Deadline: start.Add(5 * time.Minute)}
		closed, forced := simulate(p, start, connections)
		require.Len(t, closed, connections)
		require.Zero(t, forced, "%d connections", connections)
		require.False(t, closed[0].Before(p.From), "load balancers get their time")
		// Each tenth of the time gets a tenth of the closes.
		window := p.Deadline.Sub(p.From) / 10
		perWindow := map[time.Duration]int{}
		for _, at := range closed {
			perWindow[at.Sub(p.From)/window]++
		}
		for w, n := range perWindow {
			require.InDelta(t, float64(connections)/10, float64(n), float64(connections)/100+2, "window %d of %d connections", w,
				connections)
		}
	}
}

func TestPaceKeepsMaxPerSecondAndForcesTheRest(t *testing.T) {
	start := time.Unix(0, 0)
	for _, limit := range []int{1, 7, 100, 1000} {
		p := drain.Pace{From: start, Deadline: start.Add(10 * time.Second), MaxPerSecond: limit}
		closed, forced := simulate(p, start, 20*limit)
		require.Len(t, closed, 20*limit)
		require.InDelta(t, 10*limit, forced, float64(limit)/2+1, "ten seconds carry ten times the cap")
		perSecond := map[int64]int{}
		for _, at := range closed[:len(closed)-forced] {
			perSecond[at.Unix()]++
		}
		for second, n := range perSecond {
			require.LessOrEqual(t, n, limit+limit/10+1, "second %d", second)
		}
	}
}

// A rate ends a drain before its deadline, or leaves connections to it.
func TestPaceClosesAtTheRate(t *testing.T) {
	start := time.Unix(0, 0)
	for _, c := range []struct{ rate, limit, connections, seconds, forced int }{
		{100, 0, 1000, 10, 0}, {7, 0, 70, 10, 0}, {1000, 0, 19_000, 19, 0}, {100, 50, 1000, 20, 0}, {50, 100, 1000, 20, 0},
		{10, 0, 1000, 60, 400}, {1_000_000, 0, 1000, 0, 0},
	} {
		p := drain.Pace{From: start, Deadline: start.Add(time.Minute), MaxPerSecond: c.limit, Rate: float64(c.rate)}
		want := c.rate
		if c.limit > 0 {
			want = min(want, c.limit)
		}
		require.InDelta(t, want, p.PerSecond(start, c.connections), 0.01)
		closed, forced := simulate(p, start, c.connections)
		require.InDelta(t, c.forced, forced, float64(c.connections)/50)
		require.InDelta(t, c.seconds, closed[len(closed)-1].Sub(start).Seconds(), 1.5, "%+v", c)
	}
	p := drain.Pace{From: start.Add(time.Minute), Deadline: start.Add(2 * time.Minute)}
	require.InDelta(t, 2, p.PerSecond(start, 120), 0.01, "the rate that it will have")
	require.Zero(t, p.PerSecond(start, 0))
	require.Zero(t, p.PerSecond(p.Deadline, 5))
}

func TestPaceWithoutTimeClosesAtOnce(t *testing.T) {
	now := time.Unix(0, 0)
	step := drain.Pace{From: now, Deadline: now}.Next(now, 100)
	require.Equal(t, 100, step.Close)
	require.False(t, step.Forced)
}

func TestPaceAlwaysClosesOrWaits(t *testing.T) {
	start := time.Unix(0, 0)
	p := drain.Pace{From: start, Deadline: start.Add(time.Minute)}
	for _, connections := range []int{0, 1, 1 << 40} {
		step := p.Next(start, connections)
		require.LessOrEqual(t, step.Close, connections)
		require.Positive(t, step.Wait+time.Duration(step.Close), "a step that neither closes nor waits would spin")
	}
	require.Equal(t, p.Next(start, 0), p.Next(start, -1), "a count that was read in the middle of a change")
	require.Positive(t, p.Next(p.Deadline.Add(time.Hour), 0).Wait)
}
